package encoder

import (
	"bytes"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resident reports which pages of m, that begins with one, are mapped.
func resident(t *testing.T, m []byte, page int) []byte {
	t.Helper()
	in := make([]byte, len(m)/page)
	if _, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		t.Skip("mincore:", errno)
	}
	for i := range in {
		in[i] &= 1
	}
	return in
}

func TestPopulateMapsWhatIsNotThere(t *testing.T) {
	page := syscall.Getpagesize()
	for _, c := range []struct {
		name        string
		from, to    int // bytes
		first, last int // pages there before
		want        [2]int
	}{
		{"all", 0, 64 * page, 0, 0, [2]int{0, 64}},
		{"a few bytes", 3*page + 5, 3*page + 9, 0, 0, [2]int{3, 4}},
		{"across pages", 3*page - 1, 3*page + 1, 0, 0, [2]int{2, 4}},
		{"the end is there", 0, 64 * page, 20, 64, [2]int{0, 64}},
		{"the beginning is there", 8 * page, 64 * page, 0, 20, [2]int{0, 64}},
		{"everything is there", 0, 64 * page, 0, 64, [2]int{0, 64}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := syscall.Mmap(-1, 0, 64*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
			if err != nil {
				t.Fatal(err)
			}
			defer syscall.Munmap(m)
			unix.Madvise(m, unix.MADV_NOHUGEPAGE) // its pages would come at once
			for i := c.first; i < c.last; i++ {
				m[i*page+7] = 42
			}
			fresh := false
			for n := c.from; n < c.to; {
				done, some := populate(m[n:c.to])
				n, fresh = n+done, fresh || some
			}
			if want := c.last-c.first < 64; fresh != want && !unpopulated.Load() {
				t.Errorf("fresh: %t, want %t", fresh, want)
			}
			if unpopulated.Load() {
				t.Skip("this kernel cannot")
			}
			want := make([]byte, 64)
			for i := range want {
				if i >= c.want[0] && i < c.want[1] || i >= c.first && i < c.last {
					want[i] = 1
				}
			}
			if got := resident(t, m, page); !bytes.Equal(got, want) {
				t.Errorf("resident:\n%v, want\n%v", got, want)
			}
			for i := range m {
				filled := byte(0)
				if i%page == 7 && i/page >= c.first && i/page < c.last {
					filled = 42
				}
				if m[i] != filled {
					t.Fatalf("byte %d of page %d is %d, want %d", i%page, i/page, m[i], filled)
				}
			}
		})
	}
}
