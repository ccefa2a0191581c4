import { byOracle, byReplay } from './answers.ts';
import { conformanceSuite } from './conformance.ts';

conformanceSuite('the oracle', byOracle);
conformanceSuite('a replay', byReplay);
