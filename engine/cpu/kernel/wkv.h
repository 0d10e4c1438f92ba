// The recurrences, with the norm and the gate that follow them. The formulas are those of op.WKV4, op.WKV6 and op.WKV7.

static void wkv4(const struct rk_wkv4 *p) {
	for (int t = 0; t < p->rows; t++) {
		const float *r = p->r + t * p->stride, *k = p->k + t * p->stride, *v = p->v + t * p->stride;
		float *y = p->y + t * p->stride;
		for (int i = 0; i < p->channels; i++) {
			float now = p->u[i] + k[i], most = p->pp[i] > now ? p->pp[i] : now;
			float past = exp_f(p->pp[i] - most), present = exp_f(now - most);
			y[i] = r[i] * (past * p->aa[i] + present * v[i]) / (past * p->bb[i] + present);

			float decayed = p->pp[i] + p->w[i];
			most = decayed > k[i] ? decayed : k[i];
			past = exp_f(decayed - most);
			present = exp_f(k[i] - most);
			p->aa[i] = past * p->aa[i] + present * v[i];
			p->bb[i] = past * p->bb[i] + present;
			p->pp[i] = most;
		}
	}
}

static void wkv6(const struct rk_wkv6 *p, float *out) {
	for (int t = 0; t < p->rows; t++) {
		const float *r = p->r + t * p->stride, *k = p->k + t * p->stride, *v = p->v + t * p->stride, *w = p->w + t * p->w_stride;
		memset(out, 0, (size_t)p->n * sizeof *out);
		for (int j = 0; j < p->n; j++) {
			float *s = p->state + (int64_t)j * p->n;
			for (int i = 0; i < p->n; i++) {
				float kv = k[j] * v[i];
				out[i] += r[j] * (p->u[j] * kv + s[i]);
				s[i] = kv + w[j] * s[i];
			}
		}
		float *y = p->y + t * p->stride;
		layer_norm(y, out, p->norm_w, p->norm_b, p->n, p->eps);
		for (int i = 0; p->g && i < p->n; i++) y[i] *= p->g[t * p->stride + i];
	}
}

// The vectors of one row that each value's row of the state meets. n is a multiple of 4.
struct keys { const float *kk, *kka, *k, *r, *w; };

// dot returns the inner product of n elements.
FN float dot(const float *a, const float *b, int n) {
	V sum = v_zero();
	int i = 0;
	for (; i + 16 <= n; i += 16) sum = v_fma(v_load(a + i), v_load(b + i), sum);
	if (i < n) sum = v_fma(v_load_part(a + i, n - i), v_load_part(b + i, n - i), sum);
	return v_sum(sum);
}

// row7 updates the state's row of one value and returns its product with r: s = s w - (s kk) (kk a) + v k.
FN float row7(float *s, const struct keys *p, float v, int n) {
	V removed = v_set(-dot(s, p->kk, n)), value = v_set(v), sum = v_zero();
	int i = 0;
	for (; i + 16 <= n; i += 16) {
		V x = v_mul(v_load(s + i), v_load(p->w + i));
		x = v_fma(value, v_load(p->k + i), v_fma(removed, v_load(p->kka + i), x));
		v_store(s + i, x);
		sum = v_fma(x, v_load(p->r + i), sum);
	}
	if (i < n) {
		int rest = n - i;
		V x = v_mul(v_load_part(s + i, rest), v_load_part(p->w + i, rest));
		x = v_fma(value, v_load_part(p->k + i, rest), v_fma(removed, v_load_part(p->kka + i, rest), x));
		v_store_part(s + i, x, rest);
		sum = v_fma(x, v_load_part(p->r + i, rest), sum);
	}
	return v_sum(sum);
}

// rows7 is row7 for all values. A head of 64 has a copy of its own, whose loops the compiler unrolls.
FN void rows7(float *state, const struct keys *p, const float *v, float *out, int n) {
	for (int i = 0; i < n; i++) out[i] = row7(state + (int64_t)i * n, p, v[i], n);
}

static void wkv7(const struct rk_wkv7 *p, float *work) {
	int n = p->n;
	float *kk = work, *key = work + n, *out = work + 2 * n, *kka = work + 3 * n;
	for (int t = 0; t < p->rows; t++) {
		int64_t at = t * p->stride;
		const float *k = p->k + at, *a = p->a + at, *r = p->r + at, *v = p->v + at, *g = p->g + at;
		for (int j = 0; j < n; j++) {
			kk[j] = k[j] * p->kk[j];
			key[j] = k[j] * (1 + (a[j] - 1) * p->ka[j]);
			out[j] = r[j] * key[j];
		}
		float bonus = dot(out, p->rk, n);
		double norm = sqrt(squares(kk, n, 0));
		float divisor = (float)(norm < 1e-12 ? 1e-12 : norm);
		for (int j = 0; j < n; j++) {
			kk[j] /= divisor;
			kka[j] = kk[j] * a[j];
		}
		struct keys keys = {kk, kka, key, r, p->w + at};
		if (n == 64) rows7(p->state, &keys, v, out, 64);
		else rows7(p->state, &keys, v, out, n);
		float *y = p->y + at;
		layer_norm(y, out, p->norm_w, p->norm_b, n, p->eps);
		for (int i = 0; i < n; i++) y[i] = (y[i] + bonus * v[i]) * g[i];
	}
}
