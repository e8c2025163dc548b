# fish completion for kwatch: `kwatch completion fish > ~/.config/fish/completions/kwatch.fish`

function __kwatch_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct | string replace -r '^[\'"]' '')
    set -l program (string replace -r '^~' $HOME -- $words[1])
    command -q $program; or set program kwatch
    set -l answer ($program __complete $words[2..-1] "$word" 2>/dev/null)
    set -l option (string match -r '^-[^=]*=' -- "$word")
    switch $answer[-1]
        case ':16'
            __fish_complete_directories "$word"
        case ':0'
            __fish_complete_path "$word"
        case '*'
            for line in $answer[1..-2]
                echo "$option$line"
            end
    end
end

complete -c kwatch -f -a '(__kwatch_complete)'
