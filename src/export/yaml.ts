import { Document, Scalar, visit } from 'yaml';
import { cleanText } from '../coder/redact.ts';
import type { Exported } from './manifest.ts';

/** Longest comment in bytes. */
const LONGEST_NOTE = 500;

/** Words that some reader of YAML, old or new, takes for something else than a text. */
const WORDS_OF_YAML = new Set(['null', 'true', 'false', 'yes', 'no', 'on', 'off', 'y', 'n']);

/** Characters that readers of YAML change or refuse unless they are written as an escape. */
const UNTIDY = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** One document, without a line of dashes before it. */
export function printManifest({ manifest, notes }: Exported): string {
  const comments = notes.map((note) => `# ${cleanText(note, LONGEST_NOTE)}\n`);
  return comments.join('') + printYaml(manifest);
}

/** All documents of a file. */
export function printManifests(objects: readonly Exported[]): Iterable<string> {
  return objects.map((object, i) => (i === 0 ? '' : '---\n') + printManifest(object));
}

/**
 * A value as YAML that every reader reads back as it is, kubectl's (YAML 1.1) and those of YAML 1.2 alike, and that is
 * the same bytes for the same value. So nothing is left to a library's taste: how each text is written is said here.
 */
export function printYaml(value: object): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(key, node) {
      if (typeof node.value === 'string') node.type = styleOf(node.value, key === 'key');
    },
  });
  const text = document.toString({ lineWidth: 0, doubleQuotedAsJSON: true, indentSeq: true });
  // Texts with such a character are quoted, so this is an escape in all of its places.
  return text.replace(UNTIDY, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function styleOf(text: string, isKey: boolean): Scalar.Type {
  if (isPlain(text)) return Scalar.PLAIN;
  return !isKey && isBlock(text) ? Scalar.BLOCK_LITERAL : Scalar.QUOTE_DOUBLE;
}

/** Nothing but a text to anybody: it begins with two letters, holds no mark of YAML, and is none of its words. */
function isPlain(text: string): boolean {
  return (
    /^[A-Za-z]{2}(?:[\w ./-]*[\w./-])?$/.test(text) &&
    !WORDS_OF_YAML.has(text.toLowerCase()) &&
    text.length < 512
  );
}

/**
 * Lines that may stand as they are. Readers turn a carriage return into a line break, and disagree on blanks before the
 * first word and after the last line.
 */
function isBlock(text: string): boolean {
  return (
    text.includes('\n') &&
    /^\n*[^\s]/.test(text) &&
    !/[^\S\n]\n*$/.test(text) &&
    !/[^\n\t\x20-\x7e\xa0-\u{10ffff}]/u.test(text) &&
    text.search(UNTIDY) === -1
  );
}
