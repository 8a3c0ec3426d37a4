// Writes what upstream's kube-proxy makes of command lines:
//
//	cd e2e/controlplane && go run -ldflags "-X k8s.io/component-base/version.gitVersion=v1.37.2" ./flags TABLE
//
// TABLE is a JSON file with `lines`, each with `words`. What comes of the words (`error`, `help`,
// or the flags that they `set`) is written beside them, and all flags that there are as `flags`.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/kubernetes/cmd/kube-proxy/app"
)

type table struct {
	Flags []flag `json:"flags"`
	Lines []line `json:"lines"`
}

type flag struct {
	Name       string `json:"name"`
	Short      string `json:"short,omitempty"`
	Type       string `json:"type"`
	Default    string `json:"default,omitempty"`
	Bare       string `json:"bare,omitempty"`
	Deprecated bool   `json:"deprecated,omitempty"`
}

type line struct {
	Words []string          `json:"words"`
	Error string            `json:"error,omitempty"`
	Help  bool              `json:"help,omitempty"`
	Set   map[string]string `json:"set,omitempty"`
}

func main() {
	path := os.Args[1]
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var table table
	if err := json.Unmarshal(text, &table); err != nil {
		log.Fatal(err)
	}
	table.Flags = flags()
	for i := range table.Lines {
		table.Lines[i] = answer(table.Lines[i].Words)
	}
	out, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	writer := bufio.NewWriter(out)
	fmt.Fprint(writer, "{\n\"flags\": [")
	rows(writer, table.Flags)
	fmt.Fprint(writer, "],\n\"lines\": [")
	rows(writer, table.Lines)
	fmt.Fprint(writer, "]\n}\n")
	if err := writer.Flush(); err != nil {
		log.Fatal(err)
	}
}

// Each on a line of its own, so that a change of one is one.
func rows[T any](writer io.Writer, rows []T) {
	for i, row := range rows {
		separator := ",\n"
		if i == 0 {
			separator = "\n"
		}
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(row); err != nil {
			log.Fatal(err)
		}
		fmt.Fprintf(writer, "%s%s", separator, bytes.TrimSpace(text.Bytes()))
	}
	fmt.Fprintln(writer)
}

// As cli.Run of component-base has it before it looks at words. The flag of the version is the
// process's, not the command's.
func newCommand() *cobra.Command {
	command := app.NewProxyCommand()
	command.SetGlobalNormalizationFunc(cliflag.WordSepNormalizeFunc)
	command.InitDefaultHelpFlag()
	version := command.Flags().Lookup("version")
	if err := version.Value.Set("false"); err != nil {
		log.Fatal(err)
	}
	version.Changed = false
	return command
}

func flags() (all []flag) {
	command := newCommand()
	command.Flags().VisitAll(func(f *pflag.Flag) {
		all = append(all, flag{f.Name, f.Shorthand, f.Value.Type(), f.DefValue, f.NoOptDefVal, f.Deprecated != ""})
	})
	return all
}

func answer(words []string) line {
	command := newCommand()
	answer := line{Words: words}
	if err := command.ParseFlags(words); err != nil {
		answer.Error = err.Error()
		return answer
	}
	if answer.Help, _ = command.Flags().GetBool("help"); answer.Help {
		return answer
	}
	if err := command.ValidateArgs(command.Flags().Args()); err != nil {
		answer.Error = err.Error()
		return answer
	}
	answer.Set = map[string]string{}
	command.Flags().Visit(func(f *pflag.Flag) { answer.Set[f.Name] = f.Value.String() })
	return answer
}
