# fish completion for PROGRAM: put it as PROGRAM.fish into ~/.config/fish/completions
function __PROGRAM_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines (PROGRAM __complete $words[2..-1] "$word" 2>/dev/null)
    test (count $lines) -gt 0; or return
    set -l directive (string sub -s 2 -- $lines[-1])
    set -e lines[-1]
    set -l prefix (string match -r -- '^-.*?=' "$word")
    for line in $lines
        echo -- $prefix$line
    end
    if test (count $lines) -eq 0 -a (math "floor($directive / 4) % 2") -eq 0
        __fish_complete_path (string replace -r -- '^-.*?=' '' "$word")
    end
end
complete -c PROGRAM -f -a '(__PROGRAM_complete)'
