import { readFileSync } from 'node:fs';
import { AssertionError, assert } from '../base/assert.ts';
import scalarPath from '../../wasm/tilefold-scalar.wasm' with { type: 'file' };
import simdPath from '../../wasm/tilefold.wasm' with { type: 'file' };

/**
 * The kernels' exports (assembly/index.ts). Addresses, sizes and handles are plain numbers; everything 64 bits wide
 * that is passed once per batch or more rarely is a bigint. Sizes that both sides need are exported globals, so a
 * number lives once.
 */
export interface Exports {
  memory: WebAssembly.Memory;

  allocate(size: number): number;
  release(block: number, size: number): void;
  memoryInUse(): number;

  BATCH_ROWS: Global;
  fillRegister(frame: number, register: number, value: number, isNull: number): void;
  frameValues(frame: number, register: number): number;
  frameNulls(frame: number, register: number): number;
  frameStatuses(frame: number, register: number): number;
  makeProgram(count: number): number;
  setInstruction(program: number, index: number, op: number, target: number, a: number, b: number, c: number): void;
  runProgram(program: number, frame: number, from: number, to: number): void;

  regexSteps: { value: bigint };

  problem: Global;
  CLOCK_NONE: { value: bigint };
  LINE_MAX_BYTES: Global;
  NESTED_VALUES_MAX: Global;
  addType(name: number, nameLength: number, inputCount: number, registerCount: number): number;
  typeShape(type: number): number;
  nestShape(shape: number, index: number, count: number): number;
  rootNode(shape: number): number;
  stepNode(from: number, name: number, nameLength: number): number;
  setInput(shape: number, index: number, kind: number, presence: number, fallback: number, node: number): void;
  typeFrame(type: number): number;
  typeRows(type: number): number;
  typeClock(type: number): bigint;
  typeSince(type: number): bigint;
  typeJump(type: number): bigint;
  typeLastJump(type: number): bigint;
  setTypeClock(type: number, clock: bigint, since: bigint, jump: bigint, lastJump: bigint): void;
  greatestClock(): bigint;
  nameInput(shape: number, index: number, name: number, nameLength: number): void;
  setLeniency(type: number, leniency: number): void;
  setFaultWords(index: number, text: number, length: number): void;
  setChangelog(type: number, opInput: number, timeInput: number): void;
  UPSERT_MAX_BYTES: Global;
  setUpsert(type: number, form: number, opInput: number, timeInput: number, keyCount: number): void;
  setUpsertKey(type: number, index: number, input: number, kind: number): void;
  keepLastRows(type: number, entity: number, id: number): void;
  listUpserts(): void;
  upsertsStart(): number;
  upsertsLength(): number;
  missingLast(start: number, length: number): void;
  completeUpserts(start: number, length: number): number;
  completedStart(): number;
  completedLength(): number;
  takeBackUpserts(start: number, length: number): void;
  setClock(isWall: number, jumpMs: number, aheadMs: number): void;
  inputBuffer(size: number): number;
  decode(from: number, size: number, position: bigint, isEnd: number): number;
  passClocks(arrivalMicros: bigint): void;
  admitLines(from: number, size: number): number;
  admitDocument(size: number): number;
  acceptedCount: Global;
  acceptedStart(): number;
  acceptedLength(): number;
  namedStart(): number;
  startFilling(timeMs: number, seed: bigint): void;
  stopFilling(): void;
  recordCount: Global;
  recordType: Global;
  recordRow: Global;
  recordBefore: Global;
  recordTime: Global;
  recordClock: Global;
  recordStart: Global;
  recordLength: Global;
  recordLine: Global;
  recordBad: Global;
  recordInput: Global;
  recordWithin: Global;
  rejectedCount: Global;
  rejectedLine: Global;
  rejectedProblem: Global;
  rejectedStart: Global;
  rejectedLength: Global;
  lineCount: Global;
  formLineCount: Global;

  hashKey(entity: number, start: number, length: number): number;

  COUNTS_MAX: Global;
  HALF_LIVES_KEPT: { value: bigint };
  isGroup(aggregateCase: number): number;
  RECENT_MAX: Global;
  RECENT_TEXT_MAX_BYTES: Global;
  PRECISION_MIN: Global;
  PRECISION_MAX: Global;
  VECTOR_MAX: Global;

  BEHIND_BOUNDS: Global;
  behindBounds(): number;
  typeBehind(type: number): number;
  REFUSALS_KEPT: Global;
  REFUSAL_SIZE: Global;
  refusedNow: Global;
  forgetRefusals(refusals: number): void;

  SEQUENCE_DONE: Global;
  SEQUENCE_WANTS_CHANGED: Global;
  SEQUENCE_WANTS_READ: Global;
  SEQUENCE_FULL: Global;
  SEQUENCE_MALFORMED: Global;
  SEQUENCE_UNKNOWN_CASE: Global;
  setRuns(answer: number): void;
  setRunning(bytesMax: number, rowsMin: number): void;
  runningSize(): number;
  addColumnsStep(type: number, program: number): void;
  addWriteStep(type: number, group: number): void;
  addReadStep(type: number, answer: number): void;
  addFaultStep(type: number, read: number, into: number): void;
  beginSequence(from: number): void;
  runSequence(to: number, mayLack: number, stateBytesMax: number, textBytesMax: number): number;
  sequenceRecord: Global;
  sequenceAnswer: Global;

  SHAPE_BOOL: Global;
  SHAPE_DOUBLE: Global;
  SHAPE_INT: Global;
  SHAPE_LIST: Global;
  SHAPE_MAP: Global;
  SHAPE_STRUCT: Global;
  SHAPE_TEXT: Global;
  SHAPE_TIME: Global;
  makeShape(kind: number, partCount: number): number;
  setShapePart(shape: number, index: number, part: number, head: number, headLength: number): void;
  addAnswered(type: number, shape: number, register: number, error: number, head: number, headLength: number): void;
  spellAnswered(from: number, to: number): void;
  answeredStart(): number;
  answeredLength(): number;
  answeredEnds(): number;
  addStrand(writer: number, reader: number, isShared: number, isExclusive: number, keyCount: number): number;
  setStrandKey(strand: number, isReader: number, index: number, register: number, kind: number): void;
  addFeed(strand: number, where: number, value: number, isText: number): number;
  reserveSteps(count: number): void;
  strandBytes(moreKeys: number): number;
  stepBytes(): number;
  stepCount(): number;
  rowCount(): number;
  gatherSteps(): void;
  sortStrand(strand: number): void;
  CUT_ROW_BYTES: Global;
  CUT_STEP_BYTES: Global;
  OWNED_BLANK: Global;
  OWNED_BY_NONE: Global;
  OWNED_BY_OTHERS: Global;
  PORTIONS_MAX: Global;
  ownRowsRoom(rowCount: number): number;
  ownRows(strand: number, portions: number): void;
  ownersStart(): number;
  ownersCount(): number;
  rowsOfPortion(portion: number): number;
  cutStrand(strand: number, portions: number): void;
  packPiece(strand: number, portion: number): number;
  pieceStart(): number;
  forgetSteps(strand: number): void;
  openPortion(): void;
  numberKeys(strand: number, head: number, size: number): void;
  numberedSteps(strand: number): number;
  makePlaces(strand: number, rowCount: number): void;
  placeSteps(strand: number, start: number, size: number): void;
  closePortion(strand: number): void;
  SWEPT: Global;
  SWEEP_TANGLED: Global;
  addSweptWindow(
    lengthMs: number,
    resolutionMs: number,
    agoMs: number,
    everyMs: number,
    isExact: number,
    offsetMs: number,
  ): number;
  sweep(
    strand: number,
    feed: number,
    window: number,
    manner: number,
    aggregateCase: number,
    kind: number,
    finisher: number,
    limit: number,
  ): number;
  sweptFaults: Global;
  sweptValues(): number;
  sweptNulls(): number;
  sweptStatuses(): number;
  sweptBytes(): number;
  packSweptLongs(from: number, to: number): number;
  packSweptTexts(from: number, to: number): number;
  packSweptLists(from: number, to: number): number;
  packedSweptStart(): number;
  packedSweptSize(): number;
  textSizesStart(): number;
  textSizesSize(): number;
  listSizesStart(): number;
  listSizesSize(): number;
  startPlaces(): void;
  placeCount(): number;
  takePlaces(input: number, type: number, from: number, rowsMax: number): number;
  addPlace(record: number, start: number, length: number): void;
  placeBadsStart(): number;
  placeBadsCount(): number;
  placeTimeNulls(): number;
  placeIdNulls(): number;
  placeIdsStart(): number;
  placeIdsSize(): number;
  packedPlacesStart(): number;
  packPlaceTimes(): number;
  packPlaceLengths(): number;
  WOVEN: Global;
  isWovenUp(portions: number): number;
  packStretch(from: number, to: number, isList: number, ofTexts: number, bytesMax: number): number;
  stretchStart(): number;
  stretchSize(): number;
  startWeaving(portions: number, ofLists: number, ofTexts: number): void;
  stretchRoom(portion: number, size: number): number;
  spreadStretch(portion: number): void;
  startRowsOf(count: number): number;
  weave(): number;

  LEVELS_MAX: Global;
  SHARDS_MAX: Global;
  addGroup(
    type: number,
    entity: number,
    where: number,
    weight: number,
    offsetMs: number,
    keyCount: number,
    memberCount: number,
    levelCount: number,
  ): number;
  setKeyColumn(group: number, index: number, register: number, kind: number): void;
  setMember(
    group: number,
    index: number,
    id: number,
    aggregateCase: number,
    value: number,
    kind: number,
    limit: number,
  ): void;
  setMemberRank(group: number, index: number, register: number, kind: number): void;
  setHorizon(group: number, micros: bigint): void;
  setLevel(group: number, index: number, lengthMs: number, ttlMs: number): void;
  setSequenced(group: number): void;
  closeGroup(group: number): void;
  setShards(count: number): void;
  refusalsOf(group: number, level: number): number;
  tileRecords(from: number, to: number): void;
  findKeyed(group: number, from: number, key: number, length: number): number;
  pickRecords(from: number, to: number): void;
  pickShares(from: number, to: number): void;
  takeShare(start: number, length: number): void;
  sharedBytes(): number;
  shareStart(shard: number): number;
  shareLength(shard: number): number;
  forgetShares(): void;
  pickedBytes(): number;
  tilePicked(bytesMax: number, isOrdered: number): number;
  changesStart(shard: number): number;
  changesLength(shard: number): number;
  spellChanges(): void;

  ADDRESS_SIZE: Global;
  ROW_OK: Global;
  ROW_UNKNOWN_CASE: Global;
  FOLD_OK: Global;
  FOLD_MALFORMED: Global;
  FOLD_UNKNOWN_CASE: Global;
  fold(start: number, length: number): number;
  foldMade(): number;
  missing(start: number, length: number): number;
  missingMade(): void;
  loadRow(
    kind: number,
    key: number,
    keyLength: number,
    levelMs: number,
    tileStart: number,
    bytes: number,
    length: number,
  ): void;
  wantListed(): number;
  wantedStart(): number;
  wantedLength(): number;
  loadWanted(from: number, to: number, sizes: number, values: number, valuesLength: number): void;
  holdRange(kind: number, key: number, keyLength: number, levelMs: number, from: number, to: number): void;
  listedStart(): number;
  listedCount(): number;
  startPacking(): void;
  AS_ROWS: Global;
  AS_RUN: Global;
  AS_PACK: Global;
  packPart(form: number, bytes: number): number;
  sealingSize: Global;
  boundsStart(): number;
  boundsLength(): number;
  firstLength(): number;
  snapshotDirty(): void;
  putAwayDirty(): void;
  beginFresh(): void;
  leaveUnread(isOn: number): void;
  unreadMade: Global;
  unreadRows: Global;
  addUp(start: number, length: number, isOldest: number): number;
  addedStart(): number;
  addedLength(): number;
  sealPack(start: number, length: number): number;
  unsealPack(start: number, length: number): number;
  sealedStart(): number;
  sealedLength(): number;
  packedStart(): number;
  packedLength(): number;
  settle(): void;
  evict(targetBytes: number): void;
  evictedCount: Global;
  setHighest(kind: number, levelMs: number, tileStart: number): void;
  shareStore(): void;
  listHighest(): void;
  dirtyCount(): number;
  dirtyBytes(): number;
  foldBytes(): number;
  foldRows(): number;

  ANSWER_ROWS: Global;
  WINDOWS_MAX: Global;
  READ_OK: Global;
  READ_GAPS: Global;
  READ_MALFORMED: Global;
  addAnswer(entity: number, registerCount: number, windowCount: number, memberCount: number): number;
  addEventAnswer(entity: number, type: number, windowCount: number, memberCount: number): number;
  answerFrame(answer: number): number;
  setWindow(
    answer: number,
    index: number,
    lengthMs: number,
    resolutionMs: number,
    agoMs: number,
    everyMs: number,
    isExact: number,
    offsetMs: number,
    levelCount: number,
  ): void;
  setWindowKnown(answer: number, index: number, sinceMicros: bigint, floorMs: number): void;
  setWindowLevel(answer: number, index: number, position: number, lengthMs: number): void;
  setAnswerMember(answer: number, index: number, id: number, aggregateCase: number, kind: number, type: number): void;
  setReadTime(answer: number, register: number): void;
  setFinisher(answer: number, index: number, finisher: number, parameterCount: number): void;
  setParameter(answer: number, index: number, position: number, value: number): void;
  setRead(answer: number, member: number, window: number, register: number): void;
  setWanted(answer: number, member: number, low: number, high: number): void;
  bindEvent(answer: number, type: number, keyCount: number): void;
  setEventKey(answer: number, index: number, register: number, kind: number): void;
  setAfter(answer: number, register: number): void;
  setLateness(latenessMs: number): void;
  seeRecords(from: number, to: number): void;
  setSeen(type: number, clock: bigint, since: bigint): void;
  seenClock(type: number): bigint;
  seenSince(type: number): bigint;
  coverAt(answer: number, timeMicros: bigint, isPast: number): void;
  coverTile(answer: number, levelMs: number, tileStart: number, timeMicros: bigint): void;
  rangesStart(answer: number): number;
  rangesCount(answer: number): number;
  windowStart(answer: number, window: number): number;
  startKey(answer: number, key: number, keyLength: number): void;
  addStoredRow(answer: number, levelMs: number, tileStart: number, bytes: number, length: number): number;
  addPackedRows(answer: number, start: number, length: number): number;
  addMemoryRows(answer: number): number;
  finishKey(answer: number, row: number): void;
  forgetTexts(): void;
  answerKey(answer: number, key: number, keyLength: number, row: number): number;
  listGaps(answer: number): void;
  gapsStart(answer: number): number;
  gapsCount(answer: number): number;
  warmingSince(answer: number, member: number, window: number): bigint;
  answerRecord(answer: number, record: number, row: number): number;
  startRecord(answer: number, record: number, row: number): number;
  recordKeyStart(): number;
  recordKeyLength(): number;
}

interface Global {
  value: number;
}

/**
 * One instance of the kernels and its linear memory. Views are taken by `bytes`, `ints` and the like and hold until
 * the next call that may grow memory: a grown memory detaches them, and they would silently read as empty.
 */
export interface Kernel {
  exports: Exports;
  bytes(start: number, length: number): Uint8Array<ArrayBuffer>;
  ints(start: number, count: number): Int32Array;
  longs(start: number, count: number): BigInt64Array;
  doubles(start: number, count: number): Float64Array;
  /** Copies bytes into a new block of the kernels' memory, which the caller (or the kernel it is given to) owns. */
  put(bytes: Uint8Array): number;
}

/** A module of one function that makes a vector and takes it apart: valid wherever there is SIMD (wasm-feature-detect). */
const SIMD_PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

/** Which of the two builds this runtime gets: they do the same. */
export const BUILD: 'simd' | 'scalar' = WebAssembly.validate(SIMD_PROBE) ? 'simd' : 'scalar';

export type CompiledKernels = WebAssembly.Module;

let compiled: Promise<CompiledKernels> | null = null;

/** The same, once they are there. */
let ready: CompiledKernels | null = null;

/**
 * The kernels, compiled once for each thread, unless that is given those of another (`shareKernels`): what the runtime has
 * made of their code as it ran is then there for both.
 */
export function compiledKernels(): Promise<CompiledKernels> {
  compiled ??= Bun.file(pathOfBuild())
    .arrayBuffer()
    .then(bytes => WebAssembly.compile(bytes))
    .then(module => (ready = module));
  return compiled;
}

function pathOfBuild(): string {
  return BUILD === 'simd' ? simdPath : scalarPath;
}

/** Of the kernels' code, of both builds: what another code computes may be something else. */
export async function kernelsDigest(): Promise<string> {
  const hasher = new Bun.CryptoHasher('sha256');
  for (const path of [simdPath, scalarPath]) hasher.update(await Bun.file(path).arrayBuffer());
  return hasher.digest('hex');
}

/** This thread takes the kernels that another one has compiled. */
export function shareKernels(module: CompiledKernels): void {
  ready = module;
  compiled = Promise.resolve(module);
}

/** A fresh instance. */
export async function loadKernel(): Promise<Kernel> {
  return instanceOf(await compiledKernels());
}

/** The same for whoever cannot wait; where nobody has compiled the kernels before they are compiled now. */
export function loadKernelAtOnce(): Kernel {
  if (!ready) shareKernels(new WebAssembly.Module(readFileSync(pathOfBuild())));
  return instanceOf(ready!);
}

function instanceOf(module: CompiledKernels): Kernel {
  let exports: Exports;
  const abort = (message: number, file: number, line: number, column: number): never => {
    const place = `${readText(exports.memory, file)}:${line}:${column}`;
    throw new AssertionError(`kernel: ${readText(exports.memory, message) || 'assertion failed'} at ${place}`);
  };
  const instance = new WebAssembly.Instance(module, { env: { abort } });
  exports = instance.exports as unknown as Exports;
  return {
    exports,
    bytes: (start, length) => new Uint8Array(exports.memory.buffer as ArrayBuffer, start >>> 0, length),
    ints: (start, count) => new Int32Array(exports.memory.buffer, start >>> 0, count),
    longs: (start, count) => new BigInt64Array(exports.memory.buffer, start >>> 0, count),
    doubles: (start, count) => new Float64Array(exports.memory.buffer, start >>> 0, count),
    put(bytes) {
      const block = exports.allocate(bytes.length) >>> 0;
      new Uint8Array(exports.memory.buffer, block, bytes.length).set(bytes);
      return block;
    },
  };
}

/** A string of AssemblyScript's runtime: UTF-16 behind its size in bytes. */
function readText(memory: WebAssembly.Memory, at: number): string {
  if (at === 0) return '';
  const size = new Uint32Array(memory.buffer, at - 4, 1)[0]!;
  assert(size < 65536, 'no such text in the kernels');
  return String.fromCharCode(...new Uint16Array(memory.buffer, at, size >> 1));
}
