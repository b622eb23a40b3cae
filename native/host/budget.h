/* budget.h - what each script may use. Every block that Lua allocates belongs to an owner, and an
 * owner that asks for more than it may have gets none; one that computes on and on is interrupted.
 * Owner 0 is the program itself, which nothing limits. */
#ifndef MYNAH_BUDGET_H
#define MYNAH_BUDGET_H

#include <lua.h>

typedef struct my_budget my_budget;

my_budget *my_budget_new(void); /* NULL: out of memory */
void my_budget_free(my_budget *l);

/* For lua_newstate, with the my_budget as 'ud'. */
void *my_budget_alloc(void *ud, void *block, size_t old_size, size_t new_size);

#endif
