/** The least of a tar that the scripted Coder needs, at once and in memory: plain files with short names. */

const BLOCK = 512;

export function tarOf(files: Readonly<Record<string, string>>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const bytes = Buffer.from(text);
    return [headerOf(name, bytes.length), padded(bytes)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

/** The files in a tar by their path; none in what is no tar. */
export function filesIn(tar: Buffer): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (let at = 0; at + BLOCK <= tar.length;) {
    const header = tar.subarray(at, at + BLOCK);
    const size = Number.parseInt(textIn(header, 124, 12), 8);
    if (textIn(header, 257, 5) !== 'ustar' || Number.isNaN(size)) break;
    const prefix = textIn(header, 345, 155);
    const name = `${prefix === '' ? '' : `${prefix}/`}${textIn(header, 0, 100)}`;
    const isFile = ['', '0'].includes(textIn(header, 156, 1));
    if (isFile) files.set(name, tar.subarray(at + BLOCK, at + BLOCK + size).toString());
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function headerOf(name: string, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write(`${'0'.repeat(11)}\0`, 136);
  header.write(' '.repeat(8), 148);
  header.write('0', 156);
  header.write('ustar\0', 257);
  header.write('00', 263);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

function textIn(header: Buffer, from: number, length: number): string {
  const text = header.subarray(from, from + length).toString();
  return text.split('\0', 1).join('').trim();
}
