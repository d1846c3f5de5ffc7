package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// options are the flags.
type options struct {
	clients  int
	entities int
	payload  string
	seconds  int
	scale    int
	timeout  time.Duration
	kubelets int
	servers  []string
	json     bool
	core     int // the servers'; negative: any
}

func (o *options) period() time.Duration { return kubeletPeriod / time.Duration(o.scale) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "kubelet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kubelet")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := build(ctx, dir)
	if err != nil {
		return err
	}
	o.takeCores()
	var all []outcome
	for _, server := range o.servers {
		fmt.Fprintf(stderr, "%s: %d s\n", server, o.seconds)
		got, err := o.measure(ctx, bin, server)
		if err != nil {
			return fmt.Errorf("%s: %w", server, err)
		}
		all = append(all, got)
	}
	if o.json {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	return o.table(stdout, all)
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{core: -1}
	fs := flag.NewFlagSet("kubelet", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.clients, "c", 64, "`clients` of the flood")
	fs.IntVar(&o.entities, "entities", flood.Entities, "`entities` in one response, 460 bytes of JSON each")
	fs.StringVar(&o.payload, "payload", "built", "`where` responses come from: built or shared")
	fs.IntVar(&o.seconds, "seconds", 30, "`seconds` of flood per server")
	fs.IntVar(&o.scale, "scale", 10, "by what `factor` kubelet's period of 10 s is shortened")
	fs.DurationVar(&o.timeout, "timeout", kubeletTimeout, "`limit` of one probe")
	fs.IntVar(&o.kubelets, "kubelets", 10, "how `many` kubelets probe, each for itself")
	servers := fs.String("servers", "plain,guarded,stream", "`servers` of examples/starvation, separated by commas")
	fs.BoolVar(&o.json, "json", false, "print JSON")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	o.servers = strings.Split(*servers, ",")
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	for _, f := range []struct {
		name      string
		got, most int
	}{{"c", o.clients, 10_000}, {"seconds", o.seconds, 3600}, {"scale", o.scale, 1000}, {"kubelets", o.kubelets, 1000}} {
		if f.got < 1 || f.got > f.most {
			return nil, fmt.Errorf("-%s is %d, must be 1 to %d", f.name, f.got, f.most)
		}
	}
	if o.timeout <= 0 {
		return nil, fmt.Errorf("-timeout is %v, must be positive", o.timeout)
	}
	return o, nil
}

// takeCores gives the servers one core and everything else, kubelets and flood,
// another, as examples/starvation does.
func (o *options) takeCores() {
	cores := flood.Cores()
	if len(cores) < 2 || flood.PinSelf(cores[1]) != nil {
		return
	}
	o.core = cores[0]
	runtime.GOMAXPROCS(1)
}

// table writes what came out, for people.
func (o *options) table(w io.Writer, all []outcome) error {
	where := "nothing pinned"
	if o.core >= 0 {
		where = fmt.Sprintf("server alone on core %d", o.core)
	}
	fmt.Fprintf(w, "%d clients, %d entities (%s), %d s per server, GOMAXPROCS=1, %s.\n", o.clients, o.entities, o.payload, o.seconds, where)
	fmt.Fprintf(w, "%d kubelets: liveness and readiness every %v, limit %v, %d failures, %d success; at most %d restarts each.\n\n",
		o.kubelets, o.period(), o.timeout, failureThreshold, successThreshold,
		int(time.Duration(o.seconds)*time.Second/o.period())/failureThreshold)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "server\tprobes\tfailed\trestarts per kubelet\tout of rotation\tresponses/s\twhy probes failed")
	for _, r := range all {
		var reasons []string
		for _, reason := range slices.Sorted(maps.Keys(r.Reasons)) {
			reasons = append(reasons, fmt.Sprintf("%d %s", r.Reasons[reason], reason))
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f (%d to %d)\t%.0f %%\t%.1f\t%s\n", r.Server, r.Probes, r.Failed,
			r.Restarts, r.RestartsLeast, r.RestartsMost, 100*r.OutOfRotation, r.ResponsesPerSecond, strings.Join(reasons, ", "))
	}
	return t.Flush()
}
