# bash completion for softnet(1). The words come from the program's own help, so they are never out of date.
_softnet()
{
	local cur prev words cword
	_init_completion -s 2>/dev/null || { cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; }
	local verb=${COMP_WORDS[1]} second=${COMP_WORDS[2]} help
	if [[ $COMP_CWORD -eq 1 && $cur != -* ]]; then
		COMPREPLY=($(compgen -W "run attach detach status watch policy replay help" -- "$cur"))
		return
	fi
	if [[ $verb == policy && $COMP_CWORD -eq 2 ]]; then
		COMPREPLY=($(compgen -W "check show set" -- "$cur"))
		return
	fi
	case $prev in
	--policy|--state|--control|--pcap|--metrics|--events|--guest-pcap|--uplink-pcap|--diff)
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--vm)
		COMPREPLY=($(compgen -W "$(softnet status --json 2>/dev/null | grep -o '^    "name": *"[^"]*"' | cut -d'"' -f4)" -- "$cur"))
		return ;;
	esac
	[[ $verb == -* ]] && verb=
	[[ $verb == policy ]] && verb="policy $second"
	help=$(softnet $verb --help 2>/dev/null)
	# --inbound any|established|none: the words behind an option that are a choice
	local choices
	choices=$(sed -n "s/^ *\(-[a-zA-Z], \)\{0,1\}$prev \([a-z0-9]*|[a-z0-9|]*\).*/\2/p" <<<"$help")
	if [[ -n $choices ]]; then
		COMPREPLY=($(compgen -W "${choices//|/ }" -- "$cur"))
		return
	fi
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$(grep -oE -- '--[a-z0-9][a-z0-9-]*' <<<"$help" | sort -u)" -- "$cur"))
		return
	fi
	[[ $verb == replay ]] && COMPREPLY=($(compgen -f -- "$cur"))
} && complete -F _softnet softnet
