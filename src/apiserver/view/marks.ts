type Entries = Readonly<Record<string, string>>;

/** A key, and the value that makes it a mark; without one, any value does. */
interface Mark {
  readonly key: string;
  readonly value?: string;
}

/**
 * What tools write on the objects they own, to find them again. The endpoint shows the same object a second time: with
 * such a mark on it a tool that searches every kind would take the copy for a part of its application, report it as
 * surplus and try to delete it.
 */
const labels: readonly Mark[] = [
  // Argo CD with tracking by label, and others that took the label for theirs.
  { key: 'app.kubernetes.io/instance' },
  { key: 'app.kubernetes.io/managed-by', value: 'Helm' },
  // kubectl apply --prune --applyset.
  { key: 'applyset.kubernetes.io/part-of' },
];

const annotations: readonly Mark[] = [
  // Of use only to whom applies the object, who applies it to coder.com.
  { key: 'kubectl.kubernetes.io/last-applied-configuration' },
  // kpt and others that prune by cli-utils.
  { key: 'config.k8s.io/owning-inventory' },
];

/** What goes with all that begins so, on labels and annotations alike. */
const prefixes: readonly string[] = [
  'argocd.argoproj.io/',
  'kustomize.toolkit.fluxcd.io/',
  'helm.toolkit.fluxcd.io/',
  'meta.helm.sh/',
  // Carvel kapp and Rancher Fleet, which find what they own by a label in every kind that can be listed.
  'kapp.k14s.io/',
  'objectset.rio.cattle.io/',
];

/** The labels without those by which tools find what they own; undefined when none are left. */
export function shownLabels(entries: Entries | undefined): Entries | undefined {
  return without(entries, labels);
}

/** The annotations without those by which tools find what they own; undefined when none are left. */
export function shownAnnotations(entries: Entries | undefined): Entries | undefined {
  return without(entries, annotations);
}

function without(entries: Entries | undefined, marks: readonly Mark[]): Entries | undefined {
  if (entries === undefined) return undefined;
  const left = Object.entries(entries).filter(([key, value]) => !isMark(marks, key, value));
  return left.length === 0 ? undefined : Object.fromEntries(left);
}

function isMark(marks: readonly Mark[], key: string, value: string): boolean {
  return (
    prefixes.some((prefix) => key.startsWith(prefix)) ||
    marks.some((mark) => mark.key === key && (mark.value === undefined || mark.value === value))
  );
}
