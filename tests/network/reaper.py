#!/usr/bin/python3
"""Runs a command, and waits for every process that it leaves behind: an orphan that nobody waits for looks to libvirt as if it
still ran. Says "started PID" and "ended STATUS" of the command; ends with the last of them.

    reaper.py COMMAND ARGUMENTS...
"""

import ctypes
import os
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36

ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
process = subprocess.Popen(sys.argv[1:])
print(f"started {process.pid}", flush=True)
while True:
    try:
        pid, status = os.wait()
    except ChildProcessError:
        break
    if pid == process.pid:
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)
