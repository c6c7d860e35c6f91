package s3test

import "syscall"

// endWithParent ends the server when the test's process is killed.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
