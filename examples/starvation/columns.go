package main

import (
	"strings"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// columns prints, second by second, how many of the probes that started in it
// were answered. A second is printed when the last of its probes has ended,
// which for a server that starves them is one second later.
type columns struct {
	every time.Duration
	con   *console
	tally map[int]*second
	next  int // the second to print next
}

type second struct{ ended, answered int }

func newColumns(every time.Duration, con *console) *columns {
	con.printf("  second  probes answered\n")
	return &columns{every: every, con: con, tally: map[int]*second{}}
}

// due returns how many probes start in a second.
func (c *columns) due(sec int) int {
	upTo := func(t time.Duration) int { return int((t + c.every - 1) / c.every) }
	start := time.Duration(sec) * time.Second
	return upTo(start+time.Second) - upTo(start)
}

func (c *columns) add(p flood.Probe) {
	sec := int(p.Due / time.Second)
	if c.tally[sec] == nil {
		c.tally[sec] = &second{}
	}
	s := c.tally[sec]
	s.ended++
	if p.OK() {
		s.answered++
	}
	for s := c.tally[c.next]; s != nil && s.ended >= c.due(c.next); s = c.tally[c.next] {
		c.print(s)
	}
}

// flush prints what is left when no more probes come.
func (c *columns) flush() {
	for s := c.tally[c.next]; s != nil; s = c.tally[c.next] {
		c.print(s)
	}
}

// barWidth is the width of a second whose probes were all answered.
const barWidth = 40

func (c *columns) print(s *second) {
	full := barWidth * s.answered / s.ended
	if s.answered > 0 {
		full = max(full, 1)
	}
	c.next++
	c.con.printf("  %6d  %4d of %-4d  %s\n", c.next, s.answered, s.ended,
		strings.Repeat("#", full)+strings.Repeat(".", barWidth-full))
}
