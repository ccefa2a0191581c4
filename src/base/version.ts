import { Fault } from './fault.ts';

/** `name`, or `name@version`: what a version stands for never changes. Without one it is the latest. */
export interface VersionName {
  name: string;
  version: number | null;
}

/** What may be kept under a name: names of files, of parts of URLs, and before an `@`. */
const NAME = /^[A-Za-z0-9][\w.-]{0,127}$/;
const NAME_WANTED = 'wanted letters, digits, dots, hyphens and underscores, at most 128';

/**
 * @param what it is the name of: `timeline`
 * @throws Fault `request`
 */
export function parseVersionName(text: string, what: string): VersionName {
  const [, name, version] = /^(.*?)(?:@(\d{1,9}))?$/s.exec(text)!;
  if (!NAME.test(name!)) throw new Fault('request', `"${text}" names no ${what}: ${NAME_WANTED}, and maybe @VERSION`);
  return { name: name!, version: version === undefined ? null : Number(version) };
}

/** @throws Fault `request` where something new cannot be called so */
export function checkNewName(name: string, what: string): void {
  if (!NAME.test(name)) throw new Fault('request', `"${name}" cannot be a ${what}'s name: ${NAME_WANTED}`);
}

export function versionText({ name, version }: VersionName): string {
  return version === null ? name : `${name}@${version}`;
}
