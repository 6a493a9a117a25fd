/*
 * leat/tensor: arrays and arithmetic, the ground floor of leat.
 *
 * It knows shapes, memory, random numbers, threads, matrix products and files. It has never heard of a gradient: that
 * is the next folder, autograd.
 *
 * Layout      Row-major and contiguous, rank 0 to 6, int64_t sizes. The last axis is the feature axis.
 * Precision   leat_real is float; the same sources built with LEAT_DOUBLE defined are the library leat64, where it is
 *             double. Programs against leat64 define LEAT_DOUBLE too (its pkg-config file does so).
 * Errors      Nothing here prints, exits or aborts because of data. A function that can fail takes a leat_status (which
 *             may be NULL) and returns its code; the first failure in a status stays.
 * Threads     No global state but the kernel table, chosen once. Objects belong to one thread at a time unless a
 *             comment says otherwise.
 * Same bits   Results are a function of the inputs alone: not of the number of threads, the instruction set, the
 *             compiler or its flags. The orders of summation that make this so stand with each function.
 */
#ifndef LEAT_TENSOR_H
#define LEAT_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_VERSION "0.1.0"

#if defined(__GNUC__)
#define LEAT_API               __attribute__((visibility("default")))
#define LEAT_PRINTF(at, first) __attribute__((__format__(__printf__, at, first)))
#else
#define LEAT_API
#define LEAT_PRINTF(at, first)
#endif

#ifdef LEAT_DOUBLE
typedef double leat_real;
#else
typedef float leat_real;
#endif

/* ---- status ------------------------------------------------------------------------------------------------------ */

typedef enum leat_code {
    LEAT_OK = 0,
    LEAT_ESHAPE = 1,     /* shapes do not fit together */
    LEAT_ENOMEM = 2,     /* out of memory, or a size that no memory could hold */
    LEAT_EARG = 3,       /* an argument has a value that it must not have */
    LEAT_ESTATE = 4,     /* the call does not belong here: a stale variable, a name used twice */
    LEAT_EIO = 5,        /* the operating system refused to read or write */
    LEAT_EFORMAT = 6,    /* a file or a text is not what it claims to be */
    LEAT_ENONFINITE = 7, /* an infinity or a NaN where a number was needed */
} leat_code;             /* values are frozen; new ones come at the end */

typedef struct leat_status {
    leat_code code;
    char message[500]; /* one line, no newline at its end; of a longer one the middle is left out */
} leat_status;

/* Keeps the first failure: sets code and message if `s` still says LEAT_OK, and returns the code passed in either way.
 * `s` may be NULL. */
LEAT_API leat_code leat_fail(leat_status *s, leat_code code, const char *format, ...) LEAT_PRINTF(3, 4);

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Where memory comes from. allocate returns a block aligned as malloc aligns, or NULL; release takes NULL too. Used by
 * one thread at a time. A NULL leat_allocator pointer means malloc and free. */
typedef struct leat_allocator {
    void *(*allocate)(void *user, size_t bytes);
    void (*release)(void *user, void *block);
    void *user;
} leat_allocator;

/* Memory of one lifetime: allocate many times, let go of all at once. Blocks are aligned to 64 bytes and not zeroed.
 * A reset keeps the memory, in one chunk as large as the largest use so far, so that a loop that uses about the same
 * each time round stops asking the allocator. The fields are private. */
typedef struct leat_arena {
    const leat_allocator *allocator;
    struct leat_chunk *first, *current;
    size_t in_use, peak;
} leat_arena;

typedef struct leat_arena_mark {
    struct leat_chunk *chunk;
    size_t used, in_use;
} leat_arena_mark;

LEAT_API void leat_arena_init(leat_arena *a, const leat_allocator *allocator);
LEAT_API void *leat_arena_alloc(leat_arena *a, size_t bytes);  /* NULL when out of memory */
LEAT_API void *leat_arena_zalloc(leat_arena *a, size_t bytes); /* the same, filled with zero bytes */
LEAT_API char *leat_arena_format(leat_arena *a, const char *format, ...) LEAT_PRINTF(2, 3);
LEAT_API leat_arena_mark leat_arena_save(const leat_arena *a);
LEAT_API void leat_arena_restore(leat_arena *a, leat_arena_mark mark); /* lets go of all taken since the mark */
LEAT_API void leat_arena_reset(leat_arena *a);
LEAT_API void leat_arena_free(leat_arena *a); /* back to the allocator; usable again */

/* ---- shapes and tensors ------------------------------------------------------------------------------------------ */

#define LEAT_MAX_RANK 6

typedef struct leat_shape {
    int rank;                    /* 0: a scalar */
    int64_t size[LEAT_MAX_RANK]; /* sizes of 0 are legal: an empty tensor */
} leat_shape;

/* A value: where the numbers are and how they are arranged. It does not own the numbers. */
typedef struct leat_tensor {
    leat_real *data;
    leat_shape shape;
} leat_tensor;

LEAT_API leat_shape leat_shape_of(int rank, const int64_t *size);
LEAT_API bool leat_shape_equal(const leat_shape *a, const leat_shape *b);

/* The number of elements and of bytes, or -1 when a size is negative, the rank is out of range, or the product (times
 * sizeof(leat_real)) exceeds PTRDIFF_MAX. Every size is checked here and nowhere else. */
LEAT_API int64_t leat_shape_count(const leat_shape *s);

/* NumPy broadcasting: aligned at the last axis, sizes equal or 1. False when they do not fit. */
LEAT_API bool leat_shape_broadcast(const leat_shape *a, const leat_shape *b, leat_shape *out);

/* Text for messages, "[256,2]"; returns `text`. */
#define LEAT_SHAPE_TEXT 128
LEAT_API const char *leat_shape_print(const leat_shape *s, char text[LEAT_SHAPE_TEXT]);

/* Takes the memory of a tensor from an arena, not zeroed. On failure the status says why and data is NULL. */
LEAT_API leat_tensor leat_tensor_new(leat_arena *a, leat_shape shape, leat_status *s);

/* Shapes written out: LEAT_SHAPE(256, 2); a scalar is leat_shape_of(0, NULL). */
#ifndef __cplusplus
#define LEAT_SHAPE(...)                                                                                                \
    leat_shape_of((int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[]){ __VA_ARGS__ })
#endif

/* ---- random numbers ---------------------------------------------------------------------------------------------- */

/*
 * A counter-based generator (Philox 4x32-10; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): the
 * n-th number of a stream is a pure function of (seed, stream, n), so any part of a sequence can be drawn anywhere, in
 * any order, by any thread. Streams of one seed are independent. Copying the struct copies the position.
 */
typedef struct leat_rng {
    uint64_t seed, stream, position; /* position counts numbers drawn; each function says how many it takes */
} leat_rng;

LEAT_API leat_rng leat_rng_new(uint64_t seed, uint64_t stream);
LEAT_API uint64_t leat_rng_next(leat_rng *r);            /* 64 random bits; takes one */
LEAT_API double leat_rng_uniform(leat_rng *r);           /* in (0, 1), 53 bits; takes one */
LEAT_API double leat_rng_normal(leat_rng *r);            /* N(0, 1); takes one */
LEAT_API int64_t leat_rng_below(leat_rng *r, int64_t n); /* 0 .. n-1 without bias, n > 0; takes one or more */
/* of 0 .. n-1, uniformly; takes n - 1 or more */
LEAT_API void leat_rng_permutation(leat_rng *r, int64_t *out, int64_t n);

/* Arrays, n numbers each, element i from position + i: U(low, high), N(0, 1), and logistic(0, 1) = log(u / (1 - u)).
 * Normals are the inverse of the normal distribution function (relative error below 1e-15 before rounding). The float
 * library draws the double library's numbers, rounded. */
LEAT_API void leat_rng_fill_uniform(leat_rng *r, leat_real *out, int64_t n, double low, double high);
LEAT_API void leat_rng_fill_normal(leat_rng *r, leat_real *out, int64_t n);
LEAT_API void leat_rng_fill_logistic(leat_rng *r, leat_real *out, int64_t n);

/* ---- threads ----------------------------------------------------------------------------------------------------- */

/* A pool of threads. Its workers start at the first parallel use. Idle ones spin for some time, at most 0.1 ms, and
 * then sleep; so does the caller while it waits. */
typedef struct leat_pool leat_pool;

/* `threads` counts the caller; 0 means as many as this process may use, by affinity and cgroup limits, or what the
 * environment's LEAT_NUM_THREADS says. NULL when out of memory. If a worker cannot be started the pool works with
 * fewer, and in a child of fork, where workers that had started are gone, on the caller alone. */
LEAT_API leat_pool *leat_pool_new(int threads, const leat_allocator *allocator);
LEAT_API void leat_pool_free(leat_pool *p); /* NULL is allowed */
LEAT_API int leat_pool_threads(const leat_pool *p);
LEAT_API int leat_available_threads(void);

/* Calls fn(arg, begin, end) for ranges that together cover 0 .. n exactly once; a range is a multiple of `grain` long
 * but for the last. At most one range per thread; no more threads than n / grain, rounded up. A NULL pool, or one that
 * is busy, means the caller alone. fn must not care how the ranges are cut. */
typedef void leat_range_fn(void *arg, int64_t begin, int64_t end);
LEAT_API void leat_parallel_for(leat_pool *p, int64_t n, int64_t grain, leat_range_fn *fn, void *arg);

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

/* The instruction set whose kernels run in this process: "ref" (plain C), "avx2", "avx512" or "neon". The best that the
 * machine has, unless the environment's LEAT_ISA names another; a name that this machine cannot run is ignored. */
LEAT_API const char *leat_isa(void);

/* What was found and what was chosen, to be written into logs and benchmarks. */
typedef struct leat_cpu {
    const char *isa;     /* leat_isa() */
    const char *isas[8]; /* all that this machine can run, from plain to best, then NULL */
    int lanes;           /* of a vector of `isa`, each a leat_real */
    int threads;         /* leat_available_threads() */
    int64_t cache[3];    /* bytes of the data caches, first to third level; 0 where the system does not say */
} leat_cpu;

LEAT_API leat_cpu leat_cpu_info(void);

/* The activations: LEAT_<NAME> is the elementwise op of that name, with the constant given where it has
 * one, and the layer. */
#define LEAT_ACTIVATIONS(ACTIVATION)                                                                                   \
    ACTIVATION(RELU, relu, 0)                                                                                          \
    ACTIVATION(TANH, tanh, 0)                                                                                          \
    ACTIVATION(SIGMOID, sigmoid, 0)                                                                                    \
    ACTIVATION(SOFTPLUS, softplus, 0)                                                                                  \
    ACTIVATION(LEAKY_RELU, leaky_relu, 0.01)                                                                           \
    ACTIVATION(ELU, elu, 1)                                                                                            \
    ACTIVATION(GELU, gelu, 0)                                                                                          \
    ACTIVATION(SILU, silu, 0)                                                                                          \
    ACTIVATION(GELU_TANH, gelu_tanh, 0)                                                                                \
    ACTIVATION(LOG_SIGMOID, log_sigmoid, 0)

#define LEAT_ENUM_ROW(NAME, ...) LEAT_##NAME,
typedef enum leat_activation { LEAT_IDENTITY = 0, LEAT_ACTIVATIONS(LEAT_ENUM_ROW) } leat_activation;
#undef LEAT_ENUM_ROW

/*
 * C = act(op(A) op(B) + bias), or with `accumulate` C += op(A) op(B), where op(A) is [m, k] and op(B) is [k, n].
 *
 * A is stored [m, k] with row stride lda, or [k, m] when trans_a; B is [k, n], or [n, k] when trans_b; C is [m, n] with
 * row stride ldc and overlaps neither. bias is [n] or NULL. Accumulating allows neither bias nor activation. Sizes may
 * be 0; with k = 0 the product is 0.
 *
 * Order of every output: acc = 0 (C when accumulating); for k ascending acc = fma(a, b, acc); then + bias; then the
 * activation. A function of its row, its column and nothing else.
 */
typedef struct leat_gemm_args {
    bool trans_a, trans_b, accumulate;
    leat_activation activation;
    int64_t m, n, k, lda, ldb, ldc;
    const leat_real *a, *b, *bias;
    leat_real *c;
} leat_gemm_args;

/* `scratch` gives room for packing and is left as it was found. The pool may be NULL. LEAT_ENOMEM is the only
 * failure. */
LEAT_API leat_code leat_gemm(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g);

/* Products of which none reads what another writes, with the bits of leat_gemm for each. Threads share them out, so that
 * several small ones take them less time than one after the other. */
LEAT_API leat_code leat_gemm_several(leat_pool *pool, leat_arena *scratch, int count, const leat_gemm_args *g);

/* `count` products of one kind: number i takes A from a + a_at[i] and B from b + b_at[i], and its C stands behind that
 * of number i - 1, m * ldc further on. The bits are those of leat_gemm for each. */
LEAT_API leat_code leat_gemm_batch(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g, int64_t count,
                                   const int64_t *a_at, const int64_t *b_at);

/* The sum of n contiguous numbers: 16 interleaved double accumulators folded pairwise (8 + 8, 4 + 4, 2 + 2, 1 + 1), in
 * blocks of 4096 whose sums are added in order. */
LEAT_API double leat_sum_contiguous(const leat_real *x, int64_t n);

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* What a file makes its reader allocate, beside a megabyte, is at most 160 times the file's size, whatever it says of
 * itself: 1 + sizeof(leat_real) times an array of small integers, 160 times a text of names of one letter. The size of
 * what is compressed is that of what comes out. A table that is read row by row is never in memory: there its longest
 * row counts, and its header. */

/* The whole file in memory from the arena, with a zero byte behind it that `size` does not count. */
LEAT_API leat_code leat_file_read(const char *path, leat_arena *a, char **bytes, size_t *size, leat_status *s);

/* All or nothing: the bytes go to a new file in the same folder, are synced and renamed to `path`. If anything fails,
 * what stood at `path` is still there, and the new file is gone. Symbolic links are followed. */
LEAT_API leat_code leat_file_write(const char *path, const void *bytes, size_t size, leat_status *s);

/* NumPy's .npy (format versions 1 to 3). Reads floats and integers of any width and byte order, and both index orders,
 * into leat_real, row-major, rank up to 6; writes little-endian leat_real. */
LEAT_API leat_code leat_npy_read(const char *path, leat_arena *a, leat_tensor *out, leat_status *s);
LEAT_API leat_code leat_npy_write(const char *path, const leat_tensor *t, leat_status *s);

/* safetensors: named tensors and a flat map of texts. Names and texts are UTF-8. */
typedef struct leat_safetensors_entry {
    const char *name;
    leat_tensor tensor;
    double *doubles; /* the same numbers, where the file has more of them than leat_real does (F64); or NULL */
} leat_safetensors_entry;

typedef struct leat_safetensors {
    int64_t count;
    leat_safetensors_entry *entries; /* in the order of the data in the file */
    int64_t metadata_count;
    const char *(*metadata)[2]; /* key, value; the file's __metadata__ */
    /* Entries and metadata sorted by name, which the reader sets. NULL, as it must be after a change of the lists: names
     * are looked for one by one. */
    const void **by_name, **by_key;
} leat_safetensors;

/* F64, F32, F16, BF16, the integers, and BOOL are read into leat_real. Refused: offsets that overlap, leave holes or do
 * not fit the shape, names that occur twice, rank above 6, a header that is not JSON of the described form. */
LEAT_API leat_code leat_safetensors_read(const char *path, leat_arena *a, leat_safetensors *out, leat_status *s);
/* Writes leat_real (F32, or F64 from leat64) or doubles, data aligned to 64 bytes; all or nothing, like
 * leat_file_write. */
LEAT_API leat_code leat_safetensors_write(const char *path, const leat_safetensors *f, leat_status *s);
LEAT_API const leat_tensor *leat_safetensors_find(const leat_safetensors *f, const char *name); /* NULL: not there */
LEAT_API const char *leat_safetensors_metadata(const leat_safetensors *f, const char *key);     /* NULL: not there */

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/*
 * Tables of numbers in files, read and written row by row, so that a file may be larger than memory. The name of a file
 * says its format:
 *
 *   .npy                    NumPy's, [rows, columns], or [rows] as one column; whatever leat_npy_read takes, Fortran
 *                           order too
 *   .csv .tsv .txt .dat     text, and so is what is no regular file (a pipe); "-" is standard input or output
 *   .gz                     to be read: either of them compressed with gzip
 *
 * From a pipe and from standard input a .npy or what gzip compressed is read too: by its first bytes.
 *
 * Text. The fields of a row stand between semicolons, commas or tabs, whichever of these (looked for in this order) the
 * first line has outside of quotes, else between runs of spaces. A field may be quoted: then it may hold separators and
 * newlines, and "" is a quote. Rows end in LF or CRLF. A UTF-8 byte order mark, spaces around fields and blank lines at
 * the end are passed over. A number is [sign] digits [. digits] [e [sign] digits] with a digit beside the point, in
 * every locale, and becomes the nearest leat_real, ties to even.
 *
 * Names are UTF-8; one that is not is taken as Latin-1. Lines that begin with # in front of the rows and between them are
 * comments (between them if the first column is read, as no number begins so). The first line that is none is a header,
 * of names, when none of its fields is a number and one is not empty; or when its first field is empty and the others
 * are 0, 1, 2, ..; or when it has all of known_names. Else the last comment in front of it is one, if by the same rules
 * and with as many fields, between whatever separator; so numpy.savetxt writes names. header = yes makes one of the
 * first line where all this does not find one, header = no takes nothing for one.
 */
typedef enum leat_table_header { LEAT_HEADER_AUTO = 0, LEAT_HEADER_YES, LEAT_HEADER_NO } leat_table_header;

typedef struct leat_table_opts {
    /* The columns to read, in this order: names, numbers from 1, and ranges of numbers, between commas: "age,3,7-9",
     * "2-" for all from the second on. An item that is a name in the header means that column, whatever it looks like;
     * #3 is the third column, even where another is called 3. A name with a comma in it stands in quotes. NULL: all
     * columns. Fields of the other columns may hold anything. */
    const char *columns;
    leat_table_header header; /* of text files; a .npy has none */
    /* The names of columns that the caller knows: a line that has them all, in any order, is a header, numbers or not. */
    const char *const *known_names;
    int64_t known_count;
    char delimiter; /* between the fields of a text; ' ': runs of spaces and tabs; 0: looked for, as told above */
    char decimal; /* '.' or 0; ',': a decimal comma, and then no comma stands between fields unless delimiter says so */
    /* The rows to read, first_row .. last_row - 1, counted from 0 behind the header; last_row = 0: to the end. What the
     * file does not have is left out. Rows before first_row are skipped without a look at their numbers. */
    int64_t first_row, last_row;
    const leat_allocator *allocator; /* of the table's own memory; NULL: malloc and free */
} leat_table_opts;

typedef struct leat_table leat_table;

/*
 * Opens a table and reads its header. NULL, with the reason in the status, when it cannot be opened or read, when an
 * option makes no sense, when a column that `columns` names is not there, is there twice, or is chosen twice.
 * `opts` may be NULL: all columns, all rows.
 */
LEAT_API leat_table *leat_table_open(const char *path, const leat_table_opts *opts, leat_status *s);
LEAT_API void leat_table_close(leat_table *t); /* NULL is allowed */

/* Chooses columns as leat_table_opts does, for those who must see the names first; before the first row is read. */
LEAT_API leat_code leat_table_select(leat_table *t, const char *columns, leat_status *s);

/* The same by numbers from 1, in the order in which they are to be read. */
LEAT_API leat_code leat_table_select_places(leat_table *t, const int64_t *places, int64_t count, leat_status *s);

/* What was guessed about the table and should be looked at, a phrase to stand behind its name; NULL: nothing. */
LEAT_API const char *leat_table_note(const leat_table *t);

LEAT_API int64_t leat_table_columns(const leat_table *t);                /* how many are read */
LEAT_API const char *const *leat_table_names(const leat_table *t);       /* theirs; NULL without a header */
LEAT_API bool leat_table_latin1(const leat_table *t);                    /* whether names were taken as Latin-1 */
LEAT_API int64_t leat_table_place(const leat_table *t, int64_t column);  /* where in the file it stands, from 1 */
LEAT_API int64_t leat_table_find(const leat_table *t, const char *name); /* the first one called so, from 0; or -1 */

/*
 * The next rows, at most `most_rows` (at least 1): block becomes [rows, columns], in memory that the table owns and uses
 * again at the next call. Returns the number of rows; 0 at the end; -1 after a failure, which stays. So:
 *
 *     while (leat_table_next(table, 4096, &block, &status) > 0)
 *         ...
 *     if (status.code) ...
 *
 * Fails with LEAT_EFORMAT, naming the file, the line, the column (both from 1; and its name) and the text, for a row
 * with more or fewer fields than the first line, a blank line between rows, an empty field, what is no number, and
 * numbers beyond leat_real; with LEAT_ENONFINITE for nan and inf (in a .npy with row and column, from 1).
 */
LEAT_API int64_t leat_table_next(leat_table *t, int64_t most_rows, leat_tensor *block, leat_status *s);

/* Rows of numbers with the precision that files have, [rows, columns]. */
typedef struct leat_doubles {
    double *data; /* NULL: none */
    int64_t rows, columns;
} leat_doubles;

/* The same as doubles: the nearest ones to what a text says. */
LEAT_API int64_t leat_table_next_doubles(leat_table *t, int64_t most_rows, leat_doubles *block, leat_status *s);

/* A whole table, [rows, columns], into an arena; there may be no rows. `names`, unless NULL, gets the columns' names, or
 * NULL without a header. */
LEAT_API leat_code leat_table_read(const char *path, const leat_table_opts *opts, leat_arena *a, leat_tensor *out,
                                   const char *const **names, leat_status *s);

/*
 * Writes a table row by row, all or nothing as leat_file_write: `path` changes when commit succeeds. To what is no
 * regular file ("-", a pipe) rows are written as they come, as text only. The separator is a comma, in .tsv a tab, in
 * .txt and .dat a space. Numbers have the fewest digits that read back as the same leat_real, or the same double if they
 * came as doubles. Not finite ones are written as nan, inf and -inf.
 */
typedef struct leat_table_writer leat_table_writer;

typedef struct leat_table_writer_opts {
    int64_t columns;          /* at least 1 */
    const char *const *names; /* one for each column; NULL: no header. A .npy keeps none. */
    bool doubles;             /* a .npy of float64 whatever leat_real is; text needs no such choice */
    bool vector;              /* of the one column a .npy has shape [rows] instead of [rows, 1] */
    const leat_allocator *allocator;
} leat_table_writer_opts;

LEAT_API leat_table_writer *leat_table_create(const char *path, const leat_table_writer_opts *opts, leat_status *s);
/* Rows at the end: [rows, columns], or [rows] where there is one column; and the same of doubles, which a .npy takes
 * only if its opts said so. A failure stays, and then commit fails too. */
LEAT_API leat_code leat_table_append(leat_table_writer *w, const leat_tensor *rows, leat_status *s);
LEAT_API leat_code leat_table_append_doubles(leat_table_writer *w, const double *values, int64_t rows, leat_status *s);
LEAT_API leat_code leat_table_commit(leat_table_writer *w, leat_status *s); /* and frees w, also when it fails */
LEAT_API void leat_table_discard(leat_table_writer *w); /* leaves `path` as it was, frees w; NULL is allowed */

/* The same at once for [rows, columns] or [rows]. */
LEAT_API leat_code leat_table_write(const char *path, const char *const *names, const leat_tensor *values,
                                    leat_status *s);

/*
 * What to know of data before a density is fitted to it. A constant column has no density. Nor has one in which single
 * values take up a share of the rows (labels, counts, ratings, a zero for "missing"): there the likelihood has no upper
 * bound, and a flow will chase it. `discrete` says so of a column, and of a constant one too: it has at most
 * LEAT_FEW_VALUES different values and ten rows for each, or one value fills at least a tenth of the rows (and ten).
 */
#define LEAT_FEW_VALUES 20

typedef struct leat_column {
    double min, max, mean, sd; /* sd divides by the number of rows */
    int64_t distinct;          /* different values; LEAT_FEW_VALUES + 1 means more than LEAT_FEW_VALUES */
    double common;             /* the most common value, if a tenth of the rows have it; the smallest of equals */
    int64_t common_rows;       /* how many rows have it; 0: there is no such value */
    bool constant, discrete;
} leat_column;

/* Of at least one row, into one leat_column for each column. A value that is not finite is refused with its row and
 * column, from 1. */
LEAT_API leat_code leat_table_inspect(const leat_doubles *values, leat_column *columns, leat_status *s);

#ifdef __cplusplus
}
#endif

#endif
