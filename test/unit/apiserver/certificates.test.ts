import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { until } from '../../../hack/stack/wait.ts';
import { CertificateFiles, type ServingPair } from '../../../src/apiserver/certificates.ts';
import { createAuthority, issueServing, type KeyPair } from '../../../src/controller/serving/authority.ts';
import { FakeClock } from '../../support/clock.ts';
import { handshakeWith, listening } from '../../support/handshake.ts';
import { LogBook } from '../../support/log-book.ts';

const HOUR = 3_600_000;
const EVERY = 5_000;

describe('CertificateFiles', () => {
  const now = Date.now();
  let authority: KeyPair;
  let first: KeyPair;
  let second: KeyPair;

  let root: string;
  let folder: string;
  let clock: FakeClock;
  let logger: LogBook;
  let files: CertificateFiles;
  let taken: ServingPair[];
  let stop: AbortController;
  let running: Promise<void>;
  let swaps: number;

  async function issue(lifetimeMs = 10 * HOUR): Promise<KeyPair> {
    const key = createPrivateKey(authority.key);
    const request = { now, notAfter: now + lifetimeMs, names: ['localhost'] };
    return issueServing({ certificate: authority.certificate, key }, request);
  }

  before(async () => {
    authority = await createAuthority({ now, notAfter: now + 1000 * HOUR });
    first = await issue();
    second = await issue();
  });

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'certificates-'));
    folder = join(root, 'mounted');
    clock = new FakeClock(new Date(now));
    logger = new LogBook();
    files = new CertificateFiles({ folder, clock, logger });
    taken = [];
    swaps = 0;
    files.onChange((pair) => taken.push(pair));
    stop = new AbortController();
  });

  afterEach(async () => {
    stop.abort(new Error('the test is over'));
    await running;
    expect(clock.pending, 'no timer is left').to.equal(0);
    rmSync(root, { recursive: true });
  });

  /** It begins to look; the answer comes after the first look. */
  async function start(): Promise<void> {
    running = files.run(stop.signal);
    await resting();
  }

  async function resting(): Promise<void> {
    expect(await until(() => clock.pending > 0 || undefined, { withinMs: 5_000, everyMs: 1 })).to.equal(true);
  }

  /** One more look. */
  async function look(): Promise<void> {
    await clock.advance(EVERY);
    await resting();
  }

  function write(cert: string, key: string): void {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'tls.crt'), cert);
    writeFileSync(join(folder, 'tls.key'), key);
  }

  /** As the kubelet does: files are links into a folder that is a link, and the latter is replaced by a rename. */
  function swap({ certificate, key }: KeyPair): void {
    mkdirSync(folder, { recursive: true });
    const data = `..${swaps++}`;
    mkdirSync(join(folder, data));
    writeFileSync(join(folder, data, 'tls.crt'), certificate);
    writeFileSync(join(folder, data, 'tls.key'), key);
    symlinkSync(data, join(folder, '..tmp'));
    renameSync(join(folder, '..tmp'), join(folder, '..data'));
    if (swaps > 1) return;
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(join('..data', name), join(folder, name));
  }

  const serials = (): string[] => taken.map(({ cert }) => new X509Certificate(cert).serialNumber);
  const serialOf = (pair: KeyPair): string => new X509Certificate(pair.certificate).serialNumber;

  it('takes a pair that is there', async () => {
    write(first.certificate, first.key);
    await start();
    expect(files.current()).to.deep.equal({
      cert: first.certificate,
      key: first.key,
      notBefore: Date.parse(new X509Certificate(first.certificate).validFrom),
      notAfter: Date.parse(new X509Certificate(first.certificate).validTo),
    });
    expect(taken).to.have.lengthOf(1);
  });

  it('waits for files that are not there yet, and says so once', async () => {
    await start();
    await look();
    await look();
    expect(files.current()).to.equal(undefined);
    expect(logger.texts).to.have.lengthOf(1);
    expect(logger.texts[0]).to.match(/^warn the file tls.crt .* cannot be read \(ENOENT\): waiting for one/);
    swap(first);
    await look();
    expect(files.current()?.cert).to.equal(first.certificate);
    expect(serials()).to.deep.equal([serialOf(first)]);
  });

  it('4. takes a new pair after the swap of a symbolic link', async () => {
    swap(first);
    await start();
    swap(second);
    await look();
    expect(serials()).to.deep.equal([first, second].map(serialOf));
    expect(logger.of('warn')).to.deep.equal([]);
  });

  it('4. new handshakes see the new certificate, and open connections go on', async () => {
    swap(first);
    await start();
    const server = createServer(files.current()!, (socket) => socket.pipe(socket));
    files.onChange((pair) => server.setSecureContext(pair));
    const { port } = await listening(server);
    const sockets: TLSSocket[] = [];
    const serialSeen = async (): Promise<string> => {
      const socket = await handshakeWith(port, { ca: authority.certificate, name: 'localhost' });
      if (socket instanceof Error) throw socket;
      sockets.push(socket);
      return socket.getPeerX509Certificate()?.serialNumber ?? '';
    };
    try {
      expect(await serialSeen()).to.equal(serialOf(first));
      swap(second);
      await look();
      expect(await serialSeen()).to.equal(serialOf(second));
      const [open] = sockets;
      const echo = new Promise((resolve) => open?.once('data', (data: Buffer) => resolve(data.toString())));
      open?.write('still here');
      expect(await echo).to.equal('still here');
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  it('does nothing while the files hold the same', async () => {
    write(first.certificate, first.key);
    await start();
    write(first.certificate, first.key);
    await look();
    await look();
    expect(taken).to.have.lengthOf(1);
    expect(logger.of('warn')).to.deep.equal([]);
  });

  it('takes half of a new pair for what it is, and says nothing when the other half follows', async () => {
    write(first.certificate, first.key);
    await start();
    write(second.certificate, first.key);
    await look();
    expect(serials()).to.deep.equal([serialOf(first)]);
    write(second.certificate, second.key);
    await look();
    expect(serials()).to.deep.equal([first, second].map(serialOf));
    expect(logger.of('warn')).to.deep.equal([]);
  });

  for (const [what, pairOf] of Object.entries({
    'tls.key is not the key of tls.crt': () => [second.certificate, first.key],
    'tls.crt holds no certificate': () => ['nothing', first.key],
    'tls.key holds no private key': () => [first.certificate, 'nothing'],
    'tls.crt and tls.key cannot be used by TLS': () => [
      `${second.certificate}${first.certificate.replace(/^MII/m, 'AAA')}`,
      second.key,
    ],
  } satisfies Record<string, () => [string, string]>)) {
    it(`keeps the last good pair when ${what}, and says so once`, async () => {
      write(first.certificate, first.key);
      await start();
      write(...pairOf());
      await look();
      await look();
      await look();
      expect(serials()).to.deep.equal([serialOf(first)]);
      expect(logger.of('warn')).to.have.lengthOf(1);
      expect(logger.of('warn')[0]).to.contain(`${what}: the last good one stays in use`);
      write(second.certificate, second.key);
      await look();
      expect(serials()).to.deep.equal([first, second].map(serialOf));
    });
  }

  it('keeps the last good pair when the files are gone', async () => {
    write(first.certificate, first.key);
    await start();
    rmSync(folder, { recursive: true });
    await look();
    await look();
    expect(files.current()?.cert).to.equal(first.certificate);
    expect(logger.of('warn')).to.have.lengthOf(1);
  });

  it('takes no certificate that is over', async () => {
    const over = await issue(-HOUR / 60);
    write(over.certificate, over.key);
    await start();
    await look();
    expect(files.current()).to.equal(undefined);
    expect(logger.of('warn')).to.have.lengthOf(1);
    expect(logger.of('warn')[0]).to.match(/the certificate in tls.crt ended at/);
  });

  it('warns once when the certificate is about to end and was not renewed, and goes on with it', async () => {
    write(first.certificate, first.key);
    await start();
    await clock.advance(8 * HOUR);
    await resting();
    expect(logger.of('warn')).to.deep.equal([]);
    await clock.advance(3 * HOUR);
    await resting();
    expect(logger.of('warn')).to.have.lengthOf(1);
    expect(logger.of('warn')[0]).to.match(/ends at .* and was not renewed/);
    expect(files.current()?.cert).to.equal(first.certificate);
  });

  it('says nothing of a key', async () => {
    write(first.certificate, first.key);
    await start();
    write(second.certificate, first.key);
    await look();
    await look();
    const said = logger.texts.join('\n');
    for (const line of first.key.split('\n').slice(1, 3)) expect(said).to.not.contain(line);
  });

  it('tells nobody any more who has ended to listen', async () => {
    const told: ServingPair[] = [];
    const end = files.onChange((pair) => told.push(pair));
    write(first.certificate, first.key);
    await start();
    end();
    write(second.certificate, second.key);
    await look();
    expect(told).to.have.lengthOf(1);
    expect(taken).to.have.lengthOf(2);
  });
});
