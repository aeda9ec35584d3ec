# fish completion for softnet(1). The options come from the program's own help, so they are never out of date.
function __softnet_verb
	set -l words (commandline -opc)
	test (count $words) -gt 1; or return
	switch $words[2]
		case policy
			test (count $words) -gt 2; and echo policy $words[3]; or echo policy
		case run attach detach status watch replay
			echo $words[2]
	end
end

function __softnet_options
	softnet (string split ' ' -- (__softnet_verb)) --help 2>/dev/null |
		string replace -rf '^ *(?:-[A-Za-z], )?(--[a-z0-9-]+)(?: \S+)? *(.*)$' '$1\t$2'
end

complete -c softnet -n 'test (count (commandline -opc)) -eq 1' -f -a run -d 'start a VM and guard it'
complete -c softnet -n 'test (count (commandline -opc)) -eq 1' -f -a attach -d 'guard a tap or veth in the kernel'
complete -c softnet -n 'test (count (commandline -opc)) -eq 1' -f -a detach -d 'take that guard away'
complete -c softnet -n 'test (count (commandline -opc)) -eq 1' -f -a status -d 'what running guards know'
complete -c softnet -n 'test (count (commandline -opc)) -eq 1' -f -a watch -d 'the same, live'
complete -c softnet -n 'test (count (commandline -opc)) -eq 1' -f -a policy -d 'check, show or set rules'
complete -c softnet -n 'test (count (commandline -opc)) -eq 1' -f -a replay -d 'decide about captured frames again'
complete -c softnet -n 'test "$(__softnet_verb)" = policy' -f -a 'check show set'
complete -c softnet -n 'string match -q -- "-*" (commandline -ct)' -a '(__softnet_options)'
