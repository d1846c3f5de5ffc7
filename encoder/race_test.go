//go:build race

package encoder

// raced: the race detector is on, and makes every sync.Pool forget at random.
const raced = true
