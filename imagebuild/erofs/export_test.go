package erofs

// LimitContent makes files of more bytes in all errors.
func LimitContent(n int64) { maxContent = n }
