import { expect } from 'chai';
import type { JobLog } from '../../../../src/coder/types.ts';
import { errorsIn } from '../../../../src/controller/template/records.ts';

function line(output: string, level?: string): JobLog {
  return { id: 1, output, ...(level === undefined ? {} : { log_level: level }) };
}

describe('errorsIn', () => {
  it('gives what Terraform said of its failure in one line, without the frame', () => {
    const lines = [
      line('Initializing provider plugins', 'debug'),
      line('╷', 'error'),
      line('│ Error: Unsupported block type', 'error'),
      line('│   on main.tf line 3:', 'error'),
      line('╵', 'error'),
      line('no level'),
    ];
    expect(errorsIn(lines)).to.equal('Error: Unsupported block type on main.tf line 3:');
  });

  it('cuts what is long, and gives nothing where there is no error', () => {
    expect(Buffer.byteLength(errorsIn([line('x'.repeat(5_000), 'error')]))).to.be.at.most(400);
    expect(errorsIn([line('fine', 'info')])).to.equal('');
  });
});
