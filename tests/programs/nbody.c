/* Three bodies that attract each other, integrated by leapfrog; writes the path of the first to a file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define N 3

int main(int argc, char **argv) {
    double x[N][2] = {{1, 0}, {-0.5, 0.8}, {-0.5, -0.8}}, v[N][2] = {{0, 0.6}, {-0.5, -0.3}, {0.5, -0.3}};
    int steps = argc > 2 ? atoi(argv[1]) : 0;
    FILE *out = argc > 2 ? fopen(argv[2], "w") : NULL;
    if (!out) return 2;
    fprintf(out, "step,x,y\n");
    for (int step = 0; step < steps; step++) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double dx = x[j][0] - x[i][0], dy = x[j][1] - x[i][1];
                double r = sqrt(dx * dx + dy * dy + 0.01), pull = i == j ? 0 : 0.001 / (r * r * r);
                v[i][0] += pull * dx;
                v[i][1] += pull * dy;
            }
        for (int i = 0; i < N; i++) {
            x[i][0] += 0.001 * v[i][0];
            x[i][1] += 0.001 * v[i][1];
        }
        if (step % 100 == 0) fprintf(out, "%d,%.17g,%.17g\n", step, x[0][0], x[0][1]);
    }
    printf("%d steps\n", steps);
    return fclose(out) != 0;
}
