"""What happens on a GPU: label, plan, train, judge, export. Imports no chat library."""
