package main

import (
	"context"
	"flag"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
)

// pages goes through a list page by page, as client-go's pager does it, and tells what came. With --step it waits for
// a line on the standard input before each page but the first.
func pages(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	var s selection
	c.register(flags)
	s.register(flags)
	limit := flags.Int64("limit", 500, "objects of a page")
	step := flags.Bool("step", false, "wait for a line before each further page")
	return func(ctx context.Context) error {
		resource, err := dynamicResource(&c, &s)
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		commands := commandsOf(ctx)
		versions := map[string]string{}
		count, duplicates, asked := 0, 0, 0
		p := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if asked++; asked > 1 && *step {
				<-commands
			}
			list, err := resource.List(ctx, options)
			if err != nil {
				say(line{"event": "page", "status": statusOf(err), "error": err.Error()})
				return list, err
			}
			say(line{"event": "page", "resourceVersion": list.GetResourceVersion()})
			return list, nil
		})
		p.PageSize = *limit
		list, paged, err := p.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		err = meta.EachListItem(list, func(object runtime.Object) error {
			accessor, err := meta.Accessor(object)
			if err != nil {
				return err
			}
			count++
			if _, twice := versions[keyOf(accessor)]; twice {
				duplicates++
			}
			versions[keyOf(accessor)] = accessor.GetResourceVersion()
			return nil
		})
		if err != nil {
			return err
		}
		say(line{"event": "set", "objects": versions, "count": count, "duplicates": duplicates, "paged": paged})
		return nil
	}
}
