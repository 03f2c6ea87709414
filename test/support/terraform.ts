/** Files of templates that the tests build with the real Terraform. */
type Files = Readonly<Record<string, string>>;

/** Each of its starts and stops takes this long, and not only the first. */
export function slowFiles(seconds: number): Files {
  return {
    'main.tf': `resource "terraform_data" "slow" {
  triggers_replace = timestamp()
  provisioner "local-exec" {
    command = "sleep ${seconds}"
  }
}
`,
  };
}

/** It can be started and stopped, and not deleted while this file is there. */
export function undeletableFiles(flag: string): Files {
  return {
    'main.tf': `resource "terraform_data" "stuck" {
  provisioner "local-exec" {
    when    = destroy
    command = "if test -e '${flag}'; then echo the disk is in use >&2; exit 1; fi"
  }
}
`,
  };
}

/** A template as people write them, with Coder's own provider: parameters of each kind, and an agent. */
export const PARAMETERS: Files = {
  'main.tf': `terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
  }
}

data "coder_parameter" "region" {
  name    = "region"
  type    = "string"
  default = "eu"
  mutable = true
  option {
    name  = "Europe"
    value = "eu"
  }
  option {
    name  = "America"
    value = "us"
  }
}

data "coder_parameter" "cpus" {
  name    = "cpus"
  type    = "number"
  default = 2
  mutable = true
  validation {
    min = 1
    max = 8
  }
}

data "coder_parameter" "disk" {
  name    = "disk"
  type    = "number"
  default = 10
  mutable = false
}

data "coder_parameter" "password" {
  name    = "password"
  type    = "string"
  default = ""
  mutable = true
}

data "coder_parameter" "greeting" {
  name    = "greeting"
  type    = "string"
  default = ""
  mutable = true
}

resource "coder_agent" "main" {
  os   = "linux"
  arch = "amd64"

  # Nobody starts it here, and it is waited for without end.
  connection_timeout = 0
}

resource "terraform_data" "home" {
  input = [coder_agent.main.id, sha256(data.coder_parameter.password.value)]
}
`,
};
