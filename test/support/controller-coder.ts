/** The scripted Coder: what a test needs of it, from one place. */
export { SimulatedCoder } from './coder/coder.ts';
export { preset, richParameter, type VersionContent } from './coder/definitions.ts';
export {
  DEPLOYMENT,
  OPERATOR,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  OWNER,
  PREBUILDS,
  STRANGER,
  type Person,
} from './coder/people.ts';
export type { Fate, Landed } from './coder/wire.ts';
