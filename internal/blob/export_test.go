package blob

// MemoryPeak is the most that buffers took at once, in bytes, and MemoryUsed what they take now.
func (s *S3) MemoryPeak() int64 {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return s.memory.peak
}

// MemoryUsed is what buffers take now.
func (s *S3) MemoryUsed() int64 {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return s.memory.used
}

// AssumeUnconditional has the store treat its server as one that doesn't know conditional writes.
func (s *S3) AssumeUnconditional() { s.conditionalPut, s.conditionalComplete = false, false }
