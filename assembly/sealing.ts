/**
 * Packs of rows as they rest in a database (src/store/pack.ts and seal.ts): what rows of a pack have in common is said once, in forms, and
 * of each row only its key where that is another, how many tiles lie between it and the last row of its form, and its numbers.
 *
 *   01 | rows | forms | form* | row*                                   counts and sizes are varints
 *   form   level | first tile start, zigzag | UNIT and ADDENDS | entries | (id | case, 0 where the value is no number)*
 *   row    form * 2 + (1: of another key) | [shared | added | bytes of entity and key] | tiles, zigzag | value*
 *   value  its numbers (whole.ts), or of another its size and bytes; of a row without entries its size and bytes
 *
 * A row that is spelt otherwise than this version does has no entries: its bytes are kept as they are. What is unsealed is the pack to
 * the last byte.
 */
import { ADDEND } from './addends';
import { MEAN, caseOf } from './aggregate';
import { INTEGER } from './kind';
import { Bytes, copyLoosely } from './memory';
import { Outline, headOf, outlineAt, partAt } from './outline';
import { Head, appendValue, entryEnd, entryId, entryValue, readEntry } from './row';
import { START_OFFSET, TAIL_SIZE, head as runHead, isSameKey, setSameKey, sharedHead, sharedTail, writeTail } from './run';
import { readVarint, unzigzag, varintNext, varintOk, wordSize, writeVarint, zigzag } from './varint';
import { isOfIntegers, numbersHead, numbersNext, putNumbers, takeNumbers } from './whole';

/** Neither a pack as it is nor a frame of zstd begins with it. */
const SEALED: u8 = 1;

/** A pack of more of them is not sealed. */
const FORMS_MAX: i32 = 64;

/** A row of more is kept as it is. */
const ENTRIES_MAX: i32 = 64;

/** Of a longer id no word says all that comes before a value (row.ts). */
const ID_MAX: i32 = 0x3fff;

/** Flags of a form: tiles are counted in milliseconds, for these do not begin at multiples of the level; rows are addends. */
const UNIT: u32 = 1;
const ADDENDS: u32 = 2;

/** An entry of a form: its id and case, and what it begins with where its value is of numbers. */
@unmanaged
class Entry {
  id: i32;
  aggregateCase: i32;
  head: Head;
}

@unmanaged
class Form {
  level: i64;
  /** What tiles are counted in. */
  unit: i64;
  /** Tile starts of its first row and of its last one. */
  first: i64;
  last: i64;
  flags: u32;
  count: i32;
  entries: usize;
  /** The outline that it was made of (outline.ts); 0 where it was none. */
  outline: u32;
  /** There are entries, and all of them are of numbers: so many, and what a row takes beside these. */
  isOfNumbers: bool;
  numbers: i32;
  size: usize;

  @inline
  entryAt(index: i32): Entry {
    return changetype<Entry>(this.entries + <usize>index * offsetof<Entry>());
  }
}

const FORM_SIZE: usize = 64;
const ENTRY_SIZE: usize = 12;
const forms: usize = memory.data(64 * 64, 8);
const formEntries: usize = memory.data(64 * 64 * 12, 8);
let formCount: i32 = 0;

assert(offsetof<Form>() <= FORM_SIZE && offsetof<Entry>() == ENTRY_SIZE);

@inline
function formAt(index: i32): Form {
  return changetype<Form>(forms + <usize>index * FORM_SIZE);
}

/** A form more, without entries. */
function addForm(level: i64, first: i64, flags: u32): Form {
  const form = formAt(formCount);
  form.entries = formEntries + <usize>formCount * <usize>ENTRIES_MAX * ENTRY_SIZE;
  formCount++;
  form.level = level;
  form.unit = (flags & UNIT) != 0 ? 1 : level;
  form.first = form.last = first;
  form.flags = flags;
  form.outline = 0;
  form.count = 0;
  form.isOfNumbers = false;
  form.numbers = 0;
  form.size = 0;
  return form;
}

/** @param aggregateCase 0 where its value is of no numbers */
function addEntry(form: Form, id: i32, aggregateCase: i32): void {
  const entry = form.entryAt(form.count);
  entry.id = id;
  entry.aggregateCase = aggregateCase;
  form.isOfNumbers = aggregateCase != 0 && (form.count == 0 || form.isOfNumbers);
  form.count++;
  if (aggregateCase == 0) return;
  entry.head = headOf((<u32>id << 8) | <u32>aggregateCase);
  form.numbers += aggregateCase == MEAN ? 2 : 1;
  form.size += entry.head.size + numbersHead(aggregateCase);
}

/** What was sealed, or unsealed, last. */
const made: Bytes = Bytes.make();

export function sealedStart(): usize {
  return made.start;
}

export function sealedLength(): usize {
  return made.length;
}

/** Rows on their way into it, which the forms come before. */
const rows: Bytes = Bytes.make();

/** Entity and key of the row before the next one, its level and its tile start. */
const head: Bytes = Bytes.make();
let lastLevel: i64 = 0;
let lastStart: i64 = 0;
let isBegun: bool = false;

/** Room for some varints, and for the end of a loose copy. */
const ROOM: usize = 64;

/** Room for the numbers of a row, or for all that it is. */
const NUMBERS_ROOM: usize = 64 * 16 + 16;
const ROW_ROOM: usize = 64 * 29 + 16;

function begin(): void {
  made.length = 0;
  rows.length = 0;
  formCount = 0;
  head.length = 0;
  isBegun = false;
}

/** Puts other bytes behind the first `shared` of the last entity and key. */
@inline
function putHead(shared: usize, bytes: usize, added: usize): void {
  head.length = shared;
  head.reserve(added + ROOM);
  copyLoosely(head.end, bytes, added);
  head.length = shared + added;
}

// --- sealed

/** Seals a pack; false where it is none, or has more forms than there may be. */
export function sealPack(start: usize, length: usize): bool {
  const end = start + length;
  begin();
  let count: usize = 0;
  for (let at = start; at < end; count++) {
    at = sealRow(at, end);
    if (at == 0) return false;
  }
  spellForms(count);
  made.append(rows.start, rows.length);
  return true;
}

/** Returns where the next row begins; 0 where this one cannot be sealed. */
function sealRow(at: usize, end: usize): usize {
  const shared = <usize>readVarint(at, end);
  if (!varintOk) return 0;
  const added = <usize>readVarint(varintNext, end);
  const bytes = varintNext;
  if (!varintOk || added == 0 || added > end - bytes || shared + added < TAIL_SIZE) return 0;
  const size = <usize>readVarint(bytes + added, end);
  const value = varintNext;
  if (!varintOk || size > end - value) return 0;
  const isSameKey = isBegun && shared >= head.length;
  rows.reserve(ROOM + added + NUMBERS_ROOM + size);
  let to = rows.end + 1;
  if (!isSameKey) {
    to = sealKey(shared, bytes, added, to);
    if (to == 0) return 0;
  } else if (!readTail(shared, bytes, added)) return 0;
  isBegun = true;
  const isAddend = size > 0 && load<u8>(value) == ADDEND;
  const index = sealValue(value + <usize>isAddend, value + size, isAddend ? ADDENDS : 0, to);
  if (index < 0) return 0;
  store<u8>(rows.end, <u8>((index << 1) | <i32>!isSameKey));
  rows.length = sealedEnd - rows.start;
  return value + size;
}

/** Behind the row that was sealed last. */
let sealedEnd: usize = 0;

/** Takes an address of another key, and spells the key. Returns where its row goes on; 0 where it is none that a store makes. */
function sealKey(shared: usize, bytes: usize, added: usize, to: usize): usize {
  const length = shared + added - TAIL_SIZE;
  // No key begins another, and a row says all that it has in common with the one before it.
  if (isBegun ? shared >= length || load<u8>(head.start + shared) == load<u8>(bytes) : shared != 0) return 0;
  const fresh = length - shared;
  putHead(shared, bytes, fresh);
  lastLevel = <i64>(bswap<u64>(load<u64>(bytes + fresh)) >> 16);
  lastStart = <i64>(bswap<u64>(load<u64>(bytes + fresh, 6)) >> 8) - START_OFFSET;
  to += writeVarint(to, <u64>shared);
  to += writeVarint(to, <u64>fresh);
  copyLoosely(to, bytes, fresh);
  return to + fresh;
}

/** Takes the level and the tile start of an address of the same key; false where it is none that a store makes. */
function readTail(shared: usize, bytes: usize, added: usize): bool {
  const kept = shared - head.length;
  if (kept + added != TAIL_SIZE) return false;
  const word = bswap<u64>(load<u64>(bytes));
  const start = <u64>(lastStart + START_OFFSET);
  if (kept >= 6) {
    const bits = <u64>added << 3;
    const next = ((start >> bits) << bits) | (word >> (64 - bits));
    lastStart = <i64>next - START_OFFSET;
    return ((start ^ next) >> (bits - 8)) != 0;
  }
  const bits = <u64>(6 - kept) << 3;
  const next = ((<u64>lastLevel >> bits) << bits) | (word >> (64 - bits));
  const isOther = ((<u64>lastLevel ^ next) >> (bits - 8)) != 0;
  lastLevel = <i64>next;
  lastStart = <i64>(bswap<u64>(load<u64>(bytes + 6 - kept)) >> 8) - START_OFFSET;
  return isOther;
}

/** Spells tiles and value of a row, for which there is room; returns the index of its form, -1 where there are too many. */
function sealValue(from: usize, end: usize, flags: u32, to: usize): i32 {
  for (let i = 0; i < formCount; i++) {
    const form = formAt(i);
    if (!form.isOfNumbers || !isOfKind(form, flags) || !isInStep(form)) continue;
    sealedEnd = sealNumbers(form, from, end, to + writeVarint(to, zigzag(tiles)));
    if (sealedEnd == 0) continue;
    form.last = lastStart;
    return i;
  }
  return sealEntries(from, end, flags, to);
}

/** Tiles between the row and the last one of its form. */
let tiles: i64 = 0;

/** The row is of its level, and an addend as its rows are or not. */
@inline
function isOfKind(form: Form, flags: u32): bool {
  return form.level == lastLevel && (form.flags & ADDENDS) == flags;
}

/** The row's tile is so many from the last one. */
@inline
function isInStep(form: Form): bool {
  const difference = lastStart - form.last;
  tiles = difference / form.unit;
  return tiles * form.unit == difference;
}

/** Spells a row of the form's entries; returns where it ends, 0 where it has others. */
@inline
function sealNumbers(form: Form, from: usize, end: usize, to: usize): usize {
  let at = from;
  for (let i = 0; i < form.count; i++) {
    const entry = form.entryAt(i);
    const word = load<u64>(at);
    const size = entry.head.valueSize(word);
    const value = at + entry.head.size;
    at = value + size;
    if (at > end || !entry.head.fits(word, size)) return 0;
    const taken = takeNumbers(entry.aggregateCase, value, at, to);
    if (taken == 0) return 0;
    to += taken;
  }
  return at == end ? to : 0;
}

/** Values of a row as they are spelt, and of its entries id and case (u32). */
const values: Bytes = Bytes.make();
const said: usize = memory.data(64 * 4, 8);
let saidCount: i32 = 0;

/** The same for any row: entry by entry, where they are spelt as ever. */
function sealEntries(from: usize, end: usize, flags: u32, to: usize): i32 {
  takeEntries(from, end);
  const index = formOf(0, flags);
  if (index < 0) return -1;
  formAt(index).last = lastStart;
  to += writeVarint(to, zigzag(tiles));
  copyLoosely(to, values.start, values.length);
  sealedEnd = to + values.length;
  return index;
}

function takeEntries(from: usize, end: usize): void {
  saidCount = 0;
  values.length = 0;
  let last = 0;
  let at = from;
  for (; at < end && saidCount < ENTRIES_MAX; at = entryEnd) {
    if (!readEntry(at, end) || entryId <= last || entryId > ID_MAX) break;
    last = entryId;
    const aggregateCase = caseOf(entryValue, entryEnd);
    values.reserve(ROOM);
    const size = takeNumbers(aggregateCase, entryValue, entryEnd, values.end);
    if (size == 0) takeBytes(entryValue, entryEnd);
    else values.length += size;
    store<u32>(said + (<usize>saidCount << 2), (<u32>entryId << 8) | (size == 0 ? 0 : <u32>aggregateCase));
    saidCount++;
  }
  if (at == end && saidCount > 0) return;
  saidCount = 0;
  values.length = 0;
  takeBytes(from, end);
}

function takeBytes(from: usize, end: usize): void {
  values.reserve(ROOM + end - from);
  const at = values.end + writeVarint(values.end, <u64>(end - from));
  copyLoosely(at, from, end - from);
  values.length = at + (end - from) - values.start;
}

/** The form of a row of an outline, or for 0 of the entries that are `said`; a new one where there is none yet, -1 where there are too many. */
@inline
function formOf(outline: u32, flags: u32): i32 {
  // Tiles of an offset of their own are counted in milliseconds.
  let isOdd = lastLevel == 0;
  for (let i = 0; i < formCount; i++) {
    const form = formAt(i);
    if (!isOfKind(form, flags) || !(outline != 0 ? form.outline == outline : hasSaid(form))) continue;
    if (isInStep(form)) return i;
    isOdd = true;
  }
  if (formCount == FORMS_MAX) return -1;
  const form = addForm(lastLevel, lastStart, isOdd ? flags | UNIT : flags);
  form.outline = outline;
  if (outline != 0) addOutlined(form, outlineAt(outline));
  else addSaid(form);
  tiles = 0;
  return formCount - 1;
}

function addSaid(form: Form): void {
  for (let i = 0; i < saidCount; i++) {
    const entry = load<u32>(said + (<usize>i << 2));
    addEntry(form, <i32>(entry >> 8), <i32>(entry & 0xff));
  }
}

function addOutlined(form: Form, outline: Outline): void {
  for (let i = 0; i < outline.count; i++) {
    const part = partAt(outline, i);
    addEntry(form, part.id, part.aggregateCase);
    if (part.aggregateCase == MEAN) i++;
  }
}

function hasSaid(form: Form): bool {
  if (form.count != saidCount) return false;
  for (let i = 0; i < saidCount; i++) {
    const entry = form.entryAt(i);
    if (load<u32>(said + (<usize>i << 2)) != ((<u32>entry.id << 8) | <u32>entry.aggregateCase)) return false;
  }
  return true;
}

function spellForms(rowCount: usize): void {
  made.reserve(ROOM);
  let to = made.start;
  store<u8>(to++, SEALED);
  to += writeVarint(to, <u64>rowCount);
  to += writeVarint(to, <u64>formCount);
  for (let i = 0; i < formCount; i++) {
    const form = formAt(i);
    made.length = to - made.start;
    // Of each entry two bytes of an id, and one of a case.
    made.reserve(ROOM + (<usize>form.count << 2));
    to = made.end;
    to += writeVarint(to, <u64>form.level);
    to += writeVarint(to, zigzag(form.first));
    to += writeVarint(to, <u64>form.flags);
    to += writeVarint(to, <u64>form.count);
    for (let j = 0; j < form.count; j++) {
      to += writeVarint(to, <u64>form.entryAt(j).id);
      store<u8>(to++, <u8>form.entryAt(j).aggregateCase);
    }
  }
  made.length = to - made.start;
}

// --- sealed as memory has it

let foldedRows: usize = 0;

/** What the rows of the part take as they are, about. */
export let sealingSize: usize = 0;

/** Addresses of the first row of the part and of its last one, side by side. */
const bounds: Bytes = Bytes.make();
let firstSize: usize = 0;

export function boundsStart(): usize {
  return bounds.start;
}

export function boundsLength(): usize {
  return bounds.length;
}

/** What the first of them takes. */
export function firstLength(): usize {
  return firstSize;
}

/** What the value of the row takes as it is. */
let valueSize: usize = 0;

/** What rows take beside their values and the bytes of another key. */
const ROW_HEAD: usize = 6;

/** A part begins (run.ts): rows of it are sealed as they come, in order of their addresses. */
export function beginSealing(): void {
  begin();
  bounds.length = 0;
  foldedRows = 0;
  sealingSize = 0;
}

/**
 * Seals a row of the key that was begun last; false where the part would have too many forms.
 *
 * @param outline of its numbers, which say themselves where they end; 0 where it is a row of so many bytes
 */
export function sealFolded(level: i64, start: i64, outline: u32, at: usize, length: usize, isAddend: bool): bool {
  const levelBefore = lastLevel;
  const startBefore = lastStart;
  lastLevel = level;
  lastStart = start;
  const fresh: usize = isSameKey ? 0 : runHead.length - sharedHead;
  rows.reserve(ROOM + fresh + NUMBERS_ROOM + (outline == 0 ? length : 0));
  let to = rows.end + 1;
  if (!isSameKey) {
    to += writeVarint(to, <u64>sharedHead);
    to += writeVarint(to, <u64>fresh);
    copyLoosely(to, runHead.start + sharedHead, fresh);
    to += fresh;
  }
  const flags = isAddend ? ADDENDS : 0;
  valueSize = length;
  const index = outline == 0 ? sealValue(at, at + length, flags, to) : sealClosed(outline, at, flags, to);
  if (index < 0) {
    lastLevel = levelBefore;
    lastStart = startBefore;
    return false;
  }
  if (!isSameKey) putHead(sharedHead, runHead.start + sharedHead, fresh);
  if (foldedRows == 0) firstSize = addBound();
  store<u8>(rows.end, <u8>((index << 1) | <i32>!isSameKey));
  rows.length = sealedEnd - rows.start;
  sealingSize += ROW_HEAD + valueSize;
  if (!isSameKey) sealingSize += fresh + TAIL_SIZE;
  foldedRows++;
  setSameKey();
  return true;
}

/** Adds the address of the row that was sealed last. */
function addBound(): usize {
  const before = bounds.length;
  bounds.append(head.start, head.length);
  bounds.reserve(ROOM);
  writeTail(bounds.end, lastLevel, lastStart + START_OFFSET, 0);
  bounds.length += TAIL_SIZE;
  return bounds.length - before;
}

/** Spells tiles and numbers of a row that has an outline; returns the index of its form, -1 where there are too many. */
@inline
function sealClosed(outline: u32, numbers: usize, flags: u32, to: usize): i32 {
  const index = formOf(outline, flags);
  if (index < 0) return -1;
  const form = formAt(index);
  form.last = lastStart;
  to += writeVarint(to, zigzag(tiles));
  const start = numbers;
  for (let i = 0; i < form.numbers; i++) {
    const word = load<u64>(numbers);
    const size = wordSize(word);
    store<u64>(to, word);
    to += size;
    numbers += size;
  }
  sealedEnd = to;
  valueSize = form.size + (numbers - start);
  return index;
}

/** The part is whole: what it is sealed stands where `sealPack` puts it. False where it has no rows. */
export function endSealing(): bool {
  if (foldedRows == 0) return false;
  addBound();
  spellForms(foldedRows);
  made.append(rows.start, rows.length);
  return true;
}

// --- unsealed

/** Where reading is; 0 from when something is not as it should be. */
let reading: usize = 0;

@inline
function next(end: usize): u64 {
  const number = readVarint(reading, end);
  reading = varintOk ? varintNext : 0;
  return number;
}

/** Unseals what `sealPack` has made; false where it is not that. */
export function unsealPack(start: usize, length: usize): bool {
  const end = start + length;
  begin();
  if (length == 0 || load<u8>(start) != SEALED) return false;
  reading = start + 1;
  let count = next(end);
  if (reading == 0 || !readForms(end)) return false;
  for (; reading < end; count--) if (count == 0 || !unsealRow(end)) return false;
  return count == 0;
}

function readForms(end: usize): bool {
  const count = next(end);
  if (reading == 0 || count > <u64>FORMS_MAX) return false;
  while (<u64>formCount < count) if (!readForm(end)) return false;
  return true;
}

function readForm(end: usize): bool {
  const level = next(end);
  if (reading == 0 || level >= <u64>1 << 48) return false;
  const first = unzigzag(next(end));
  if (reading == 0) return false;
  const flags = next(end);
  if (reading == 0 || flags > <u64>(UNIT | ADDENDS)) return false;
  const count = next(end);
  if (reading == 0 || count > <u64>ENTRIES_MAX) return false;
  const form = addForm(<i64>level, first, <u32>flags);
  while (<u64>form.count < count) {
    const id = next(end);
    if (reading == 0 || id == 0 || id > <u64>ID_MAX || reading >= end) return false;
    const aggregateCase = <i32>load<u8>(reading++);
    if (aggregateCase != 0 && !isOfIntegers(aggregateCase, INTEGER)) return false;
    addEntry(form, <i32>id, aggregateCase);
  }
  return true;
}

function unsealRow(end: usize): bool {
  const control = load<u8>(reading++);
  const index = <i32>(control >> 1);
  if (index >= formCount) return false;
  const form = formAt(index);
  const isSameKey = (control & 1) == 0;
  let shared = head.length;
  let fresh: usize = 0;
  if (!isSameKey) {
    shared = <usize>next(end);
    if (reading == 0 || shared > head.length) return false;
    fresh = <usize>next(end);
    if (reading == 0 || fresh > end - reading) return false;
    putHead(shared, reading, fresh);
    reading += fresh;
  } else if (!isBegun) return false;
  form.last += unzigzag(next(end)) * form.unit;
  if (reading == 0) return false;
  made.reserve(ROOM + fresh + ROW_ROOM);
  spellAddress(isSameKey, shared, fresh, form);
  return form.isOfNumbers ? openNumbers(form, end) : openEntries(form, end);
}

/** Spells the address of a row: its `shared` bytes are those of the last one, and `fresh` ones of the key follow. */
@inline
function spellAddress(isSameKey: bool, shared: usize, fresh: usize, form: Form): void {
  let to = made.end;
  const start = form.last + START_OFFSET;
  const same = isSameKey ? sharedTail(form.level ^ lastLevel, start ^ (lastStart + START_OFFSET)) : 0;
  to += writeVarint(to, <u64>(shared + same));
  to += writeVarint(to, <u64>(fresh + TAIL_SIZE - same));
  copyLoosely(to, head.start + shared, fresh);
  to += fresh;
  writeTail(to, form.level, start, same);
  made.length = to + TAIL_SIZE - same - made.start;
  lastLevel = form.level;
  lastStart = form.last;
  isBegun = true;
}

/** Spells a value of numbers alone; false where it is not as it should be. */
@inline
function openNumbers(form: Form, end: usize): bool {
  let numbers = reading;
  for (let i = 0; i < form.numbers; i++) {
    const size = wordSize(load<u64>(reading));
    if (size > 8) return false;
    reading += size;
  }
  if (reading > end) return false;
  let to = beginValue(form, form.size + (reading - numbers));
  for (let i = 0; i < form.count; i++) {
    const entry = form.entryAt(i);
    const size = putNumbers(entry.aggregateCase, numbers, to + entry.head.size);
    entry.head.write(to, size);
    to += entry.head.size + size;
    numbers = numbersNext;
  }
  made.length = to - made.start;
  return true;
}

/** Spells what comes before a value of so many bytes, and returns where these go. */
@inline
function beginValue(form: Form, size: usize): usize {
  const isAddend = (form.flags & ADDENDS) != 0;
  let to = made.end;
  to += writeVarint(to, <u64>size + <u64>isAddend);
  if (isAddend) store<u8>(to++, ADDEND);
  return to;
}

/** A value of any entries, or of none. */
const opened: Bytes = Bytes.make();

function openEntries(form: Form, end: usize): bool {
  opened.length = 0;
  for (let i = 0; i < form.count; i++) {
    const entry = form.entryAt(i);
    if (!(entry.aggregateCase == 0 ? openBytes(entry.id, end) : openEntry(entry, end))) return false;
  }
  if (form.count == 0 && !openBytes(0, end)) return false;
  made.reserve(ROOM + opened.length);
  const to = beginValue(form, opened.length);
  copyLoosely(to, opened.start, opened.length);
  made.length = to + opened.length - made.start;
  return true;
}

/** An entry of numbers. */
function openEntry(entry: Entry, end: usize): bool {
  const firstSize = wordSize(load<u64>(reading));
  if (firstSize > 8) return false;
  if (entry.aggregateCase == MEAN && wordSize(load<u64>(reading + firstSize)) > 8) return false;
  opened.reserve(ROOM);
  const size = putNumbers(entry.aggregateCase, reading, opened.end + entry.head.size);
  entry.head.write(opened.end, size);
  opened.length += entry.head.size + size;
  reading = numbersNext;
  return reading <= end;
}

/** An entry whose value is kept as it is; of id 0 that alone. */
function openBytes(id: i32, end: usize): bool {
  const size = <usize>next(end);
  if (reading == 0 || size > end - reading) return false;
  if (id == 0) opened.append(reading, size);
  else appendValue(opened, id, reading, size);
  reading += size;
  return true;
}
