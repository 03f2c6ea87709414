package main

import (
	"context"
	"flag"
	"io"
	"os"
	"slices"
	"strings"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"
)

// mapper tells which resource and kind a name means, such as kubectl would take it.
func mapper(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	c.register(flags)
	name := flags.String("name", "", "PLURAL, SINGULAR or short name, perhaps with .GROUP or .VERSION.GROUP; required")
	return func(ctx context.Context) error {
		if err := required(flags, "name"); err != nil {
			return err
		}
		config, err := c.config()
		if err != nil {
			return err
		}
		client, err := discovery.NewDiscoveryClientForConfig(config)
		if err != nil {
			return err
		}
		warnings := []string{}
		cached := memory.NewMemCacheClient(client)
		deferred := restmapper.NewDeferredDiscoveryRESTMapper(cached)
		m := restmapper.NewShortcutExpander(deferred, cached, func(warning string) { warnings = append(warnings, warning) })
		full, group := schema.ParseResourceArg(*name)
		found, err := schema.GroupVersionResource{}, error(nil)
		if full != nil {
			found, err = m.ResourceFor(*full)
		}
		if full == nil || err != nil {
			found, err = m.ResourceFor(group.WithVersion(""))
		}
		if err != nil {
			return err
		}
		kind, err := m.KindFor(found)
		if err != nil {
			return err
		}
		say(line{
			"event":    "resource",
			"group":    found.Group,
			"version":  found.Version,
			"resource": found.Resource,
			"kind":     kind.Kind,
			"warnings": warnings,
		})
		return nil
	}
}

// openAPI fetches the whole cluster's description (version 2) as protobuf and tells what of it is about a group.
func openAPI(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	c.register(flags)
	group := flags.String("group", "", "of the paths and kinds to tell of; required")
	return func(ctx context.Context) error {
		if err := required(flags, "group"); err != nil {
			return err
		}
		config, err := c.config()
		if err != nil {
			return err
		}
		client, err := discovery.NewDiscoveryClientForConfig(config)
		if err != nil {
			return err
		}
		document, err := client.OpenAPISchema()
		if err != nil {
			return err
		}
		sayDocument(document, *group)
		return nil
	}
}

// gnostic reads a description (version 2) in JSON from the standard input with the parser that kube-apiserver puts all
// of them through: where it finds a fault, nobody in the cluster gets a description any more.
func gnostic(flags *flag.FlagSet) func(ctx context.Context) error {
	group := flags.String("group", "", "of the paths and kinds to tell of; required")
	return func(ctx context.Context) error {
		if err := required(flags, "group"); err != nil {
			return err
		}
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		document, err := openapi_v2.ParseDocument(text)
		if err != nil {
			return err
		}
		sayDocument(document, *group)
		return nil
	}
}

func sayDocument(document *openapi_v2.Document, group string) {
	paths, kinds := []string{}, []string{}
	for _, path := range document.GetPaths().GetPath() {
		if strings.HasPrefix(path.GetName(), "/apis/"+group+"/") {
			paths = append(paths, path.GetName())
		}
	}
	for _, definition := range document.GetDefinitions().GetAdditionalProperties() {
		for _, extension := range definition.GetValue().GetVendorExtension() {
			if extension.GetName() == "x-kubernetes-group-version-kind" &&
				strings.Contains(extension.GetValue().GetYaml(), "group: "+group+"\n") {
				kinds = append(kinds, definition.GetName())
			}
		}
	}
	slices.Sort(paths)
	slices.Sort(kinds)
	say(line{"event": "openapi", "paths": paths, "definitions": kinds})
}
