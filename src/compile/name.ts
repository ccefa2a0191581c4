/** What feature sets, entities and features may be called: names that need no quotes anywhere they are written. */
export const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;

/** Names end up in file names, column headers and replies. */
export const NAME_LENGTH_MAX = 128;
