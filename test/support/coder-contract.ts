import { automationContract } from './coder/contract-automation.ts';
import { changesContract } from './coder/contract-changes.ts';
import { buildsContract } from './coder/contract-builds.ts';
import {
  fileLimitsContract,
  filesContract,
  tagsContract,
  terraformContract,
  variablesContract,
} from './coder/contract-content.ts';
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
      people: peopleContract,
      templates: templatesContract,
      'settings of a template': templateSettingsContract,
      'template versions': versionsContract,
      files: filesContract,
      'variables of a version': variablesContract,
      'tags of a version': tagsContract,
      Terraform: terraformContract,
      'provisioner jobs': jobsContract,
      workspaces: workspacesContract,
      agents: agentsContract,
      deletion: deletionContract,
      builds: buildsContract,
      parameters: parametersContract,
      presets: presetsContract,
      settings: settingsContract,
      'workspaces and templates that others change': changesContract,
      'what a token may see': sightContract,
      'Coder by itself': automationContract,
      'limits of files': fileLimitsContract,
    };
    for (const [topic, cases] of Object.entries(topics)) describe(topic, () => cases(contract));
  });
}
