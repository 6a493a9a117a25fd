# The program of a page: its blocks marked ```c, in their order, with the sources' header in the installed one's place.
/^```c$/ { inside = 1; next }
/^```/ { inside = 0 }
inside { sub("<leat/leat.h>", "\"flows/flows.h\""); print }
