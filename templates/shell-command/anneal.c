/* Shortest round trips by simulated annealing, and nothing that knows of cloudtune.

   usage: anneal START END REVERSE REACH [FIRST_MAP]

   START and END are the temperatures, REVERSE the share of moves that reverse a part of the trip
   (the others move one city), REACH the most places between the two ends of a move. Prints the mean
   length of the trips on MAPS maps of random cities in a square with sides of 1. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CITIES = 400, MAPS = 3, MOVES = 1500000, REPORTS = 20 };

static double x[CITIES], y[CITIES];
static int trip[CITIES];
static unsigned long long state;

static double uniform(void) { /* splitmix64: the same numbers on every machine */
  unsigned long long z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static double distance(int i, int j) { /* between the cities at two places of the trip */
  int a = trip[(i + CITIES) % CITIES], b = trip[(j + CITIES) % CITIES];
  return hypot(x[a] - x[b], y[a] - y[b]);
}

static double length(void) {
  double sum = 0;
  for (int i = 0; i < CITIES; i++) sum += distance(i, i + 1);
  return sum;
}

static void move(int i, int j, int reverse, double heat) {
  double change;
  if (reverse)
    change = distance(i - 1, j) + distance(i, j + 1) - distance(i - 1, i) - distance(j, j + 1);
  else
    change = distance(i - 1, i + 1) + distance(j, i) + distance(i, j + 1)
           - distance(i - 1, i) - distance(i, i + 1) - distance(j, j + 1);
  if (change > 0 && uniform() >= exp(-change / heat)) return;
  if (reverse) {
    for (; i < j; i++, j--) {
      int city = trip[i];
      trip[i] = trip[j];
      trip[j] = city;
    }
  } else {
    int city = trip[i];
    for (; i < j; i++) trip[i] = trip[i + 1];
    trip[j] = city;
  }
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: %s START END REVERSE REACH [FIRST_MAP]\n", argv[0]);
    return 2;
  }
  double start = atof(argv[1]), end = atof(argv[2]), reverse = atof(argv[3]);
  int reach = atoi(argv[4]), first = argc > 5 ? atoi(argv[5]) : 1;
  double sums[REPORTS] = {0};
  for (int map = 0; map < MAPS; map++) {
    state = (unsigned long long)(first + map);
    for (int i = 0; i < CITIES; i++) x[i] = uniform(), y[i] = uniform(), trip[i] = i;
    for (int n = 0; n < MOVES; n++) {
      int i = 1 + (int)(uniform() * (CITIES - 1)), j = i + 1 + (int)(uniform() * reach);
      double heat = start * pow(end / start, (double)n / MOVES);
      if (j < CITIES) move(i, j, uniform() < reverse, heat);
      if ((n + 1) % (MOVES / REPORTS) == 0) sums[n / (MOVES / REPORTS)] += length();
    }
  }
  for (int report = 0; report < REPORTS; report++)
    printf("step %d length %.5f\n", report + 1, sums[report] / MAPS);
  return 0;
}
