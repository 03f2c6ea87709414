import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { Balancer } from '../../support/balancer.ts';
import { eventually } from '../../support/eventually.ts';

describe('the balancer of the tests', () => {
  let servers: Server[];
  let ready: Map<number, boolean>;
  let balancer: Balancer;
  let sockets: Socket[];

  /** A server that says its number to everybody, and then says back what it hears. */
  async function serve(number: number): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(String(number));
      socket.pipe(socket);
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    ready.set(port, true);
    return port;
  }

  async function open(): Promise<{ readonly socket: Socket; readonly first: string }> {
    const socket = connect({ host: '127.0.0.1', port: balancer.port });
    sockets.push(socket);
    const [first] = (await once(socket, 'data')) as [Buffer];
    return { socket, first: first.toString() };
  }

  beforeEach(async () => {
    servers = [];
    sockets = [];
    ready = new Map();
    const ports = [await serve(1), await serve(2)];
    balancer = await Balancer.open(
      ports.map((port) => ({ port, isReady: () => Promise.resolve(ready.get(port) === true) })),
    );
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await balancer.close();
    for (const server of servers) server.close();
  });

  it('gives new connections to one after the other', async () => {
    const first = [await open(), await open(), await open(), await open()].map((o) => o.first);
    expect(first).to.deep.equal(['1', '2', '1', '2']);
  });

  it('gives none to a target that is not ready, and leaves those alone that it has', async () => {
    const before = await open();
    expect(before.first).to.equal('1');
    ready.set(balancer.ready[0] ?? 0, false);
    await eventually(() => balancer.ready.length === 1);
    expect([(await open()).first, (await open()).first]).to.deep.equal(['2', '2']);
    before.socket.write('still there');
    const [echo] = (await once(before.socket, 'data')) as [Buffer];
    expect(echo.toString()).to.equal('still there');
  });

  it('passes an end on in both directions', async () => {
    const { socket } = await open();
    socket.end('last words');
    const [echo] = (await once(socket, 'data')) as [Buffer];
    expect(echo.toString()).to.equal('last words');
    await once(socket, 'close');
  });

  it('breaks all connections until it is mended', async () => {
    const { socket } = await open();
    const broken = once(socket, 'error');
    balancer.cut();
    await broken;
    const another = connect({ host: '127.0.0.1', port: balancer.port });
    await once(another, 'error');
    balancer.mend();
    expect((await open()).first).to.be.oneOf(['1', '2']);
  });

  it('breaks connections when nobody is ready', async () => {
    for (const port of ready.keys()) ready.set(port, false);
    await eventually(() => balancer.ready.length === 0);
    const socket = connect({ host: '127.0.0.1', port: balancer.port });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNRESET');
  });
});
