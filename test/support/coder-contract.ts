import { automationContract } from './coder/contract-automation.ts';
import { changesContract } from './coder/contract-changes.ts';
import { archiveContract } from './coder/contract-archive.ts';
import { buildsContract } from './coder/contract-builds.ts';
import { cancelContract } from './coder/contract-cancel.ts';
import {
  fileLimitsContract,
  filesContract,
  tagsContract,
  terraformContract,
  variablesContract,
} from './coder/contract-content.ts';
import { httpContract, uploadsContract } from './coder/contract-http.ts';
import { limitsContract } from './coder/contract-limits.ts';
import { listsContract } from './coder/contract-lists.ts';
import { namesContract } from './coder/contract-names.ts';
import { racesContract } from './coder/contract-races.ts';
import { parametersContract, presetsContract } from './coder/contract-parameters.ts';
import { sightContract } from './coder/contract-sight.ts';
import { settingsContract } from './coder/contract-settings.ts';
import {
  jobsContract,
  peopleContract,
  templateSettingsContract,
  templatesContract,
  versionsContract,
} from './coder/contract-templates.ts';
import { streamsContract } from './coder/contract-streams.ts';
import { agentsContract, deletionContract, workspacesContract } from './coder/contract-workspaces.ts';
import { Contract, type ContractHarness } from './coder/contract.ts';

export type { ContractHarness } from './coder/contract.ts';

/**
 * What the rules rely on in Coder. It runs against the real one and against the scripted one, which must not behave in
 * a way that is not in here.
 */
export function describeCoderContract(title: string, open: () => Promise<ContractHarness>): void {
  describe(title, () => {
    let harness: ContractHarness | undefined;
    const contract = new Contract(() => {
      if (harness === undefined) throw new Error('The Coder under test is not there yet.');
      return harness;
    });

    before(async () => {
      harness = await open();
    });

    after(async () => {
      await harness?.close();
    });

    const topics: Readonly<Record<string, (contract: Contract) => void>> = {
      'every answer': httpContract,
      people: peopleContract,
      templates: templatesContract,
      'settings of a template': templateSettingsContract,
      'template versions': versionsContract,
      'versions that are kept': archiveContract,
      files: filesContract,
      uploads: uploadsContract,
      'variables of a version': variablesContract,
      'tags of a version': tagsContract,
      Terraform: terraformContract,
      'provisioner jobs': jobsContract,
      workspaces: workspacesContract,
      agents: agentsContract,
      deletion: deletionContract,
      names: namesContract,
      builds: buildsContract,
      'what is cancelled': cancelContract,
      races: racesContract,
      'the order of a list': listsContract,
      parameters: parametersContract,
      presets: presetsContract,
      settings: settingsContract,
      'workspaces and templates that others change': changesContract,
      'what a token may see': sightContract,
      'Coder by itself': automationContract,
      'what can be looked on at': streamsContract,
      'the limit of requests': limitsContract,
      'limits of files': fileLimitsContract,
    };
    for (const [topic, cases] of Object.entries(topics)) describe(topic, () => cases(contract));
  });
}
