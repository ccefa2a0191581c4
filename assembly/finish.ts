/** What comes of finishing a state: a value, null, or null because the value is beyond what can be said. */
export const FINISHED: i32 = 0;
export const FINISHED_NULL: i32 = 1;
export const FINISHED_OVERFLOW: i32 = 2;

/** Of functions that do not share their state with others. */
export const PLAIN: i32 = 0;
