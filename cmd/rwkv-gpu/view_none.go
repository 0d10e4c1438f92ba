//go:build !view

package main

import (
	"context"
	"errors"
)

// hasWindow reports whether this build has the window of view.
const hasWindow = false

// view says that there is no window.
func (a *app) view(_ context.Context, o *viewFlags, _ []string) error {
	if err := a.checkView(o); err != nil {
		return err
	}
	return &failure{statusUsage, "", errors.New("this build has no window: make view builds one that has")}
}
