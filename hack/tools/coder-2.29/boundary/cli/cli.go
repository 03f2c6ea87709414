// Package cli stands in for the one of github.com/coder/boundary, from which Coder's command line takes an experimental
// command. A server has no use for it, and its module is not to be had from every proxy.
package cli

import "github.com/coder/serpent"

// BaseCommand is a command that does nothing.
func BaseCommand() *serpent.Command {
	return &serpent.Command{Use: "boundary", Short: "Left out of this build."}
}
