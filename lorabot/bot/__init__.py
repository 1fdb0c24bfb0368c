"""What people see: one set of commands, three front ends. Imports no torch."""
