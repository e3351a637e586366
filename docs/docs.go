// Package docs holds the pages for people, which the server shows at /docs/<name> and which read as well in the
// repository.
package docs

import "embed"

// Pages are the Markdown files of this folder.
//
//go:embed *.md
var Pages embed.FS
