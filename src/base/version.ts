/** Version of this program; a test holds it to package.json. */
export const PROGRAM_VERSION = '0.1.0';

/** How this program names itself to servers. */
export const USER_AGENT = `coder-operator/${PROGRAM_VERSION}`;
