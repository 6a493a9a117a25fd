/* Images as PNG files: all in one, in rows and columns, or one a file. Grey ones and colours. */
#ifndef APPS_PICTURES_IMAGE_GRID_H
#define APPS_PICTURES_IMAGE_GRID_H

#include "../../tensor/files/images.h"

/* One file, the images in rows of `columns` (0: about as many as there are rows), a grey pixel between and around them.
 * LEAT_ESHAPE when there are none, or so many that a side would be above APP_CANVAS_LARGEST. */
leat_code app_image_grid_write(const char *path, const leat_images *images, int64_t columns, leat_status *s);

/* A file for each: for name.png they are name-01.png, name-02.png, ..., with as many digits as the last one needs. */
leat_code app_image_files_write(const char *path, const leat_images *images, leat_status *s);

#endif
