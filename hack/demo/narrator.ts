import { styleText } from 'node:util';

/** Tells a tour in a terminal: what is about to happen, the commands as one would type them, and what they print. */
export class Narrator {
  readonly #print: (text: string) => void;
  #chapter = 0;

  constructor(print: (text: string) => void) {
    this.#print = print;
  }

  chapter(title: string): void {
    this.#chapter++;
    this.#print(`\n${styleText('bold', `${this.#chapter}. ${title}`)}`);
  }

  say(text: string): void {
    this.#print(`   ${text}`);
  }

  command(text: string): void {
    this.#print(`\n   ${styleText('green', `$ ${text}`)}`);
  }

  /** What a command prints, or a manifest. */
  output(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.#print(styleText('dim', `   ${line}`));
  }
}
