/** All that the glue in src/kernel may call, kernel by kernel. */
export { allocate, memoryInUse, release } from './memory';
export { makeProgram, runProgram, setInstruction } from './expression';
export { BATCH_ROWS, fillRegister, frameNulls, frameStatuses, frameValues } from './frame';
export { problem } from './json';
export { decode } from './decode';
export { setFaultWords } from './fault';
export {
  formLineCount,
  inputBuffer,
  lineCount,
  recordBad,
  recordBefore,
  recordClock,
  recordCount,
  recordInput,
  recordLength,
  recordLine,
  recordRow,
  recordStart,
  recordTime,
  recordType,
  recordWithin,
  rejectedCount,
  rejectedLength,
  rejectedLine,
  rejectedProblem,
  rejectedStart,
} from './batch';
export {
  greatestClock,
  passClocks,
  setClock,
  setTypeClock,
  typeClock,
  typeJump,
  typeLastJump,
  typeSince,
} from './clock';
export {
  CLOCK_NONE,
  addType,
  keepLastRows,
  nameInput,
  nestShape,
  rootNode,
  setChangelog,
  setInput,
  setLeniency,
  setUpsert,
  setUpsertKey,
  stepNode,
  typeBehind,
  typeFrame,
  typeRows,
  typeShape,
} from './event_type';
export { LINE_MAX_BYTES } from './ndjson';
export { NESTED_VALUES_MAX } from './nested_input';
export { UPSERT_MAX_BYTES } from './upsert_row';
export {
  completeUpserts,
  completedLength,
  completedStart,
  listUpserts,
  missingLast,
  takeBackUpserts,
  upsertsLength,
  upsertsStart,
} from './upsert';
export {
  acceptedCount,
  acceptedLength,
  acceptedStart,
  admitDocument,
  admitLines,
  namedStart,
  startFilling,
  stopFilling,
} from './door';
export { hashKey } from './key';
export { boundsLength, boundsStart, firstLength, sealPack, sealedLength, sealedStart, sealingSize, unsealPack } from './sealing';
export { runningSize, setRunning, setRuns } from './running';
export {
  SEQUENCE_DONE,
  SEQUENCE_FULL,
  SEQUENCE_MALFORMED,
  SEQUENCE_UNKNOWN_CASE,
  SEQUENCE_WANTS_CHANGED,
  SEQUENCE_WANTS_READ,
  addColumnsStep,
  addFaultStep,
  addReadStep,
  addWriteStep,
  beginSequence,
  runSequence,
  sequenceAnswer,
  sequenceRecord,
} from './sequence';
export {
  SHAPE_BOOL,
  SHAPE_DOUBLE,
  SHAPE_INT,
  SHAPE_LIST,
  SHAPE_MAP,
  SHAPE_STRUCT,
  SHAPE_TEXT,
  SHAPE_TIME,
  addAnswered,
  answeredEnds,
  answeredLength,
  answeredStart,
  makeShape,
  setShapePart,
  spellAnswered,
} from './answered';
export {
  CUT_ROW_BYTES,
  CUT_STEP_BYTES,
  OWNED_BLANK,
  OWNED_BY_NONE,
  OWNED_BY_OTHERS,
  PORTIONS_MAX,
  closePortion,
  cutStrand,
  forgetSteps,
  makePlaces,
  numberKeys,
  numberedSteps,
  openPortion,
  ownRows,
  ownRowsRoom,
  ownersCount,
  ownersStart,
  packPiece,
  pieceStart,
  placeSteps,
  rowsOfPortion,
} from './piece';
export {
  addFeed,
  addStrand,
  gatherSteps,
  reserveSteps,
  rowCount,
  setStrandKey,
  sortStrand,
  stepBytes,
  stepCount,
  strandBytes,
} from './strand';
export {
  addPlace,
  packPlaceLengths,
  packPlaceTimes,
  packedPlacesStart,
  placeBadsCount,
  placeBadsStart,
  placeCount,
  placeIdNulls,
  placeIdsSize,
  placeIdsStart,
  placeTimeNulls,
  startPlaces,
  takePlaces,
} from './places';
export { SWEEP_TANGLED, SWEPT, addSweptWindow, sweep } from './sweep';
export {
  packSweptLists,
  packSweptLongs,
  packSweptTexts,
  listSizesSize,
  listSizesStart,
  packedSize as packedSweptSize,
  packedStart as packedSweptStart,
  textSizesSize,
  textSizesStart,
  sweptBytes,
  sweptFaults,
  sweptNulls,
  sweptStatuses,
  sweptValues,
} from './swept';
export {
  WOVEN,
  isWovenUp,
  packStretch,
  spreadStretch,
  startRowsOf,
  startWeaving,
  stretchRoom,
  stretchSize,
  stretchStart,
  weave,
} from './weave';
export { regexSteps } from './regex';
export { COUNTS_MAX, HALF_LIVES_KEPT, isGroup } from './aggregate';
export { RECENT_MAX, RECENT_TEXT_MAX_BYTES } from './last_n';
export { PRECISION_MAX, PRECISION_MIN, VECTOR_MAX } from './aggregate';
export { BEHIND_BOUNDS, REFUSALS_KEPT, REFUSAL_SIZE, behindBounds, forgetRefusals, refusedNow } from './late';
export { SHARDS_MAX, changesLength, changesStart, setShards, spellChanges } from './change';
export {
  LEVELS_MAX,
  addGroup,
  closeGroup,
  refusalsOf,
  setKeyColumn,
  setHorizon,
  setLevel,
  setMember,
  setMemberRank,
  setSequenced,
} from './group';
export { findKeyed, pickRecords, pickShares, pickedBytes, takeShare } from './gather';
export { forgetShares, shareLength, shareStart, sharedBytes } from './share';
export { tilePicked, tileRecords } from './tile';
export {
  ADDRESS_SIZE,
  holdRange,
  listHighest,
  listedCount,
  listedStart,
  loadRow,
  loadWanted,
  missing,
  missingMade,
  wantListed,
  wantedLength,
  wantedStart,
} from './come_back';
export {
  AS_PACK,
  AS_ROWS,
  AS_RUN,
  dirtyBytes,
  dirtyCount,
  packPart,
  packedLength,
  packedStart,
  settle,
  putAwayDirty,
  snapshotDirty,
  startPacking,
} from './dirty';
export { foldRows } from './entity';
export { addUp, addedLength, addedStart } from './addends';
export { beginFresh } from './fresh';
export { leaveUnread, unreadMade, unreadRows } from './unread';
export { evict, evictedCount } from './evict';
export { FOLD_MALFORMED, FOLD_OK, FOLD_UNKNOWN_CASE, fold, foldMade } from './fold';
export { foldBytes } from './occupied';
export { ROW_OK, ROW_UNKNOWN_CASE } from './row';
export { setHighest, shareStore } from './stratum';
export {
  ANSWER_ROWS,
  WINDOWS_MAX,
  addAnswer,
  addEventAnswer,
  answerFrame,
  bindEvent,
  setAnswerMember,
  setEventKey,
  setFinisher,
  setParameter,
  setAfter,
  setRead,
  setReadTime,
  setWanted,
  setWindow,
  setWindowKnown,
  setWindowLevel,
} from './answer';
export { finishKey, forgetTexts, warmingSince } from './cell';
export { addMemoryRows, addPackedRows, addStoredRow, startKey } from './collect';
export { coverAt, coverTile, rangesCount, rangesStart, windowStart } from './cover';
export { gapsCount, gapsStart, listGaps } from './gap';
export { READ_MALFORMED, READ_OK } from './merge';
export { seeRecords, seenClock, seenSince, setLateness, setSeen } from './seen';
export { READ_GAPS, answerKey, answerRecord, recordKeyLength, recordKeyStart, startRecord } from './window';
