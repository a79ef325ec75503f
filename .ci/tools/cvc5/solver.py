"""An SMT-LIB 2 solver on standard input and output, out of cvc5's Python wheel."""

import sys

import cvc5


def commands(lines):
    """The text of each command: up to where its parentheses close."""
    text, depth, quoted = "", 0, None
    for line in lines:
        for char in line:
            if quoted:
                quoted = None if char == quoted else quoted
            elif char == ";":
                break
            elif char in '"|':
                quoted = char
            else:
                depth += (char == "(") - (char == ")")
            text += char
        text += "\n"
        if depth == 0 and not quoted:
            if text.strip():
                yield text
            text = ""


def main():
    limit = next((a.split("=")[1] for a in sys.argv if a.startswith("--tlimit-per=")), None)
    solver, symbols, parser = fresh(limit)
    for text in commands(sys.stdin):
        # Through this interface a reset forgets less than the standard wants.
        if text.strip() == "(reset)":
            solver, symbols, parser = fresh(limit)
            continue
        parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "stdin")
        command = parser.nextCommand()
        while not command.isNull():
            said = command.invoke(solver, symbols)
            if said:
                sys.stdout.write(str(said))
                sys.stdout.flush()
            command = parser.nextCommand()


def fresh(limit):
    """A solver that knows nothing yet."""
    terms = cvc5.TermManager()
    solver = cvc5.Solver(terms)
    if limit:
        solver.setOption("tlimit-per", limit)
    symbols = cvc5.SymbolManager(terms)
    return solver, symbols, cvc5.InputParser(solver, symbols)


main()
