// Package admission lets work into the process while there is room for it.
//
// Work that is let in too early gains nothing: it shares the processors with
// all that is already there, holds memory meanwhile, and makes everybody else
// queue behind it, a health probe included. So requests wait outside, where
// they cost a goroutine, and enter as fast as others finish.
//
// Room is what a floor of requests always finds, as long as memory allows not
// counting those that wait for their clients. Beyond the floor there is room
// while few goroutines wait for a processor and few values for the encoder,
// and the bytes that the requests are going to hold fit a budget. Who builds a
// value waits until none waits for the encoder: the value would. Handlers that
// wait for a database are therefore hardly ever kept back; handlers that burn
// processor time or hold large values are.
//
// The encoder serves responses that are nearly done before the long ones. So a
// request of a route that is known to be light does not mind how many long ones
// wait there, only whether another is nearly done: light ones enter as fast as
// the encoder is done with them, however large the flood is beside them.
//
// What a request is going to hold is guessed from what its route's responses
// have weighed before, and from how much the process has lately allocated for
// every byte it answered.
//
// Responses that wait for slow clients hold their bytes meanwhile, and so do
// requests whose clients have not sent all. When these are all that keeps others
// out, clients that have stopped are cut, and the slowest of the others, as long
// as faster ones are served. Room is left to clients that are known to be fast
// (reader.go).
package admission
