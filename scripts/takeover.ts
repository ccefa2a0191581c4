/**
 * takeover.ts: writes the events of examples/takeover, the same bytes every time:
 *
 *   bun scripts/takeover.ts > events.ndjson
 *
 * 10,000 logins, changes of payout accounts and payments of 400 users over 30 days, a few out of order, and in the last week an
 * attack: somebody tries passwords of many users from addresses of one network, gets into some, has their money paid to
 * one account of his own, and empties them. `data` says nothing of who is who; `labelOf` does.
 */
import { uniform } from './bench/events.ts';

export const EVENTS = 10_000;
const USERS = 400;
const START_MS = Date.UTC(2026, 4, 1);
const DAY_MS = 86_400_000;
const DAYS = 30;
const SEED = 7;

/** When the attack begins, and how many users it tries and gets into. */
const ATTACK_MS = START_MS + 24 * DAY_MS;
const TRIED = 30;
const VICTIMS = 6;
const COUNTRIES = ['US', 'US', 'US', 'US', 'DE', 'FR', 'BR', 'IN'];

export interface TakeoverEvent {
  id: string;
  type: 'login' | 'payout_change' | 'payment';
  timeMs: number;
  data: Record<string, string | number | boolean>;
  /** Part of the attack, and past its guesses. */
  isFraud: boolean;
}

interface User {
  user: string;
  ip: string;
  device: string;
  country: string;
  account: string;
  /** What a payment is about. */
  usual: number;
}

type Random = () => number;

/** In the order in which they are logged; a few arrive seconds after later ones. */
export function takeoverEvents(): TakeoverEvent[] {
  const random = uniform(SEED);
  const users = Array.from({ length: USERS }, (_, i) => userOf(i, random));
  const attack = attackOn(users, random);
  const usual = Array.from({ length: EVENTS - attack.length }, () => usualEvent(users, random));
  // A second or two late, now and then: the order of the log is not quite that of time.
  const arrivalOf = new Map(
    [...usual, ...attack].map(event => [event, event.timeMs + (random() < 0.05 ? 2000 * random() : 0)]),
  );
  const events = [...arrivalOf.keys()].sort((a, b) => arrivalOf.get(a)! - arrivalOf.get(b)!);
  return events.map((event, i) => ({ ...event, id: `e${String(i).padStart(5, '0')}` }));
}

function userOf(i: number, random: Random): User {
  const part = () => Math.floor(random() * 254) + 1;
  return {
    user: `u${String(i).padStart(3, '0')}`,
    ip: `10.${part()}.${part()}.${part()}`,
    device: `d${String(i).padStart(3, '0')}`,
    country: COUNTRIES[Math.floor(random() * COUNTRIES.length)]!,
    account: `acc${String(i).padStart(3, '0')}`,
    usual: 20 + 180 * random(),
  };
}

function usualEvent(users: User[], random: Random): TakeoverEvent {
  const one = users[Math.floor(random() * users.length)]!;
  const timeMs = START_MS + Math.floor(DAYS * DAY_MS * random());
  const kind = random();
  if (kind < 0.55) return usualLogin(one, timeMs, random);
  if (kind < 0.57)
    return made('payout_change', timeMs, { user: one.user, account: `${one.account}b`, device: one.device });
  const amount = Math.round(one.usual * (0.4 + 1.2 * random()) * 100) / 100;
  return made('payment', timeMs, { user: one.user, amount, account: one.account });
}

/** People mistype, buy telephones and travel: not all of that is an attack. */
function usualLogin({ user, ip, device, country }: User, timeMs: number, random: Random): TakeoverEvent {
  const isAway = random() < 0.03;
  const isNew = random() < 0.03;
  const data = {
    user,
    ip: isAway ? `172.16.${Math.floor(random() * 200)}.9` : ip,
    device: isNew ? `${device}n` : device,
    country: isAway ? 'ES' : country,
    ok: random() > 0.08,
  };
  return made('login', timeMs, data);
}

function attackOn(users: User[], random: Random): TakeoverEvent[] {
  const events: TakeoverEvent[] = [];
  let timeMs = ATTACK_MS;
  const later = (ms: number) => (timeMs += Math.floor(ms * (0.5 + random())));
  const login = (user: string, ok: boolean): TakeoverEvent => ({
    ...made('login', later(20_000), {
      user,
      ip: `203.0.113.${Math.floor(random() * 200)}`,
      device: 'x1',
      country: 'KP',
      ok,
    }),
    isFraud: ok,
  });
  for (const { user } of users.slice(0, TRIED)) for (let i = 0; i < 2; i++) events.push(login(user, false));
  for (const { user } of users.slice(0, VICTIMS)) events.push(login(user, true));
  const victims = users.slice(0, VICTIMS);
  for (const { user } of victims)
    events.push({ ...made('payout_change', later(60_000), { user, account: 'mule', device: 'x1' }), isFraud: true });
  for (const { user, usual } of victims)
    for (let i = 0; i < 3; i++) {
      const amount = Math.round(usual * (4 + 3 * random()) * 100) / 100;
      events.push({ ...made('payment', later(120_000), { user, amount, account: 'mule' }), isFraud: true });
    }
  return events;
}

function made(type: TakeoverEvent['type'], timeMs: number, data: TakeoverEvent['data']): TakeoverEvent {
  return { id: '', type, timeMs, data, isFraud: false };
}

/** As the event log takes it. */
export function lineOf({ id, type, timeMs, data }: TakeoverEvent): string {
  return `${JSON.stringify({ id, type, time: new Date(timeMs).toISOString(), data })}\n`;
}

if (import.meta.main) for (const event of takeoverEvents()) process.stdout.write(lineOf(event));
