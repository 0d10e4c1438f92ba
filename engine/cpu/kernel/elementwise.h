// Functions of single elements, and norms. No product and sum is fused here, so all levels give the same bits.

// exp2_times returns y * 2^n for n from -252 to 254. In two steps, so that what is too small is rounded once and what
// is too large becomes infinite.
FN float exp2_times(float y, int n) {
	int half = n >> 1;
	return y * bits_float((uint32_t)(half + 127) << 23) * bits_float((uint32_t)(n - half + 127) << 23);
}

// near returns the multiple n of log 2 that is nearest to x, for x within its bounds, and r = x - n log 2. log 2 is
// taken in two parts, of which n times the first one is exact (Cody and Waite).
FN int near(float x, float *r) {
	float n = x * 1.44269504f + 0x1.8p23f;
	n -= 0x1.8p23f;
	*r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
	return (int)n;
}

// exp_1 returns exp(r) - 1 for |r| <= log(2) / 2, by Taylor's series: what is left out is below 2^-27 of r.
FN float exp_1(float r) {
	float p = 1 / 5040.f;
	p = p * r + 1 / 720.f;
	p = p * r + 1 / 120.f;
	p = p * r + 1 / 24.f;
	p = p * r + 1 / 6.f;
	p = p * r + 1 / 2.f;
	return p * r * r + r;
}

FN float clamp(float x, float least, float most) {
	x = x < least ? least : x;
	return x > most ? most : x;
}

FN float exp_f(float x) {
	float r;
	int n = near(clamp(x, -104, 89), &r);
	return exp2_times(exp_1(r) + 1, n);
}

FN float sigmoid_f(float x) { return 1 / (1 + exp_f(-x)); }

// tanh_f is (exp(2x) - 1) / (exp(2x) + 1), where exp(2x) - 1 keeps its digits near 0.
FN float tanh_f(float x) {
	float r;
	int n = near(clamp(2 * x, -30, 30), &r);
	float power = exp2_times(1, n), e = power * exp_1(r) + (power - 1);
	return e / (e + 2);
}

static void activate(int act, float *z, int n) {
	switch (act) {
	case RK_TANH:
		for (int i = 0; i < n; i++) z[i] = tanh_f(z[i]);
		break;
	case RK_SIGMOID:
		for (int i = 0; i < n; i++) z[i] = sigmoid_f(z[i]);
		break;
	case RK_RELU2:
		for (int i = 0; i < n; i++) {
			float v = z[i] < 0 ? 0 : z[i];
			z[i] = v * v;
		}
		break;
	case RK_DECAY:
		for (int i = 0; i < n; i++) z[i] = exp_f(-0.606531f * sigmoid_f(z[i]));
		break;
	case RK_SILU:
		for (int i = 0; i < n; i++) z[i] = z[i] * sigmoid_f(z[i]);
		break;
	case RK_EXP_DECAY:
		for (int i = 0; i < n; i++) z[i] = exp_f(-exp_f(z[i]));
		break;
	}
}

// squares returns the sum of (x - m)^2 in float64: one sum per lane of 8, and then those of the lanes.
FN double squares(const float *x, int n, double m) {
	double lane[8] = {0}, sum = 0;
	int i = 0;
	for (; i + 8 <= n; i += 8) {
		for (int l = 0; l < 8; l++) {
			double d = (double)x[i + l] - m;
			lane[l] += d * d;
		}
	}
	for (int l = 0; i + l < n; l++) {
		double d = (double)x[i + l] - m;
		lane[l] += d * d;
	}
	for (int l = 0; l < 8; l++) sum += lane[l];
	return sum;
}

// moments returns the mean of x and 1/sqrt(var(x) + eps), from sums in float64.
FN void moments(const float *x, int n, float eps, float *mean, float *rstd) {
	double lane[8] = {0}, sum = 0;
	int i = 0;
	for (; i + 8 <= n; i += 8) {
		for (int l = 0; l < 8; l++) lane[l] += (double)x[i + l];
	}
	for (int l = 0; i + l < n; l++) lane[l] += (double)x[i + l];
	for (int l = 0; l < 8; l++) sum += lane[l];
	double m = sum / n;
	*mean = (float)m;
	*rstd = (float)(1 / sqrt(squares(x, n, m) / n + (double)eps));
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, int n, float eps) {
	float mean, rstd;
	moments(x, n, eps, &mean, &rstd);
	for (int i = 0; i < n; i++) y[i] = (x[i] - mean) * rstd * w[i] + b[i];
}

static void shift_mix(const struct rk_shift *p, float *work) {
	float *now = work, *before = work + p->width;
	if (p->prev) memcpy(before, p->prev, (size_t)p->width * sizeof *before);
	else layer_norm(before, p->before, p->norm_w, p->norm_b, p->width, p->eps);
	for (int t = 0; t < p->rows; t++) {
		layer_norm(now, p->x + t * p->x_stride, p->norm_w, p->norm_b, p->width, p->eps);
		for (int m = 0; m < p->mixes; m++) {
			const float *mix = p->mix[m];
			float *y = p->y[m] + t * p->y_stride;
			for (int i = 0; i < p->width; i++) y[i] = now[i] + (before[i] - now[i]) * mix[i];
		}
		float *other = now;
		now = before;
		before = other;
	}
	if (p->last) memcpy(p->last, before, (size_t)p->width * sizeof *before);
}

// deep_embed multiplies h with a token's matrix of inner rows of width elements, decoded.
static void deep_embed(float *y, const float *h, const float *matrix, int inner, int width) {
	memset(y, 0, (size_t)width * sizeof *y);
	for (int i = 0; i < inner; i++, matrix += width) {
		for (int j = 0; j < width; j++) y[j] += h[i] * matrix[j];
	}
}
