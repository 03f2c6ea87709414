import { describeCoderContract } from '../../support/coder-contract.ts';
import { openScripted } from '../../support/coder/contract-scripted.ts';

describeCoderContract('The contract and the scripted Coder', () => Promise.resolve(openScripted()));
