/** What the tour applies, as a reader would write it. */
export const namespace = 'demo';

export const controlPlane = `apiVersion: coder.com/v1alpha1
kind: CoderControlPlane
metadata:
  name: coder
spec:
  credentialsSecretRef:
    name: coder
`;

export const template = `apiVersion: coder.com/v1alpha1
kind: CoderTemplate
metadata:
  name: coder.hello          # <organization>.<template>
spec:
  files:
    main.tf: |
      resource "terraform_data" "hello" {
        input = "hello from Kubernetes"
      }
`;

export function workspaceName(owner: string, workspace = 'dev'): string {
  return `coder.${owner}.${workspace}`;
}

export function workspace(owner: string): string {
  return `apiVersion: coder.com/v1alpha1
kind: CoderWorkspace
metadata:
  name: ${workspaceName(owner).padEnd(20)} # <organization>.<user>.<workspace>
spec:
  templateName: hello
  running: true
`;
}
