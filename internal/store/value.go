package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// argument converts a Go value to one that every engine stores alike: nil, int64, float64, string or []byte.
func argument(a any) (driver.Value, error) {
	switch v := a.(type) {
	case nil, int64, float64:
		return v, nil
	case string:
		return text(v)
	case []byte:
		if v == nil {
			return nil, nil
		}
		return v, nil
	case int:
		return int64(v), nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case time.Time:
		return v.UnixMicro(), nil
	case driver.Valuer:
		if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && p.IsNil() {
			return nil, nil
		}
		value, err := v.Value()
		if err != nil {
			return nil, err
		}
		if _, again := value.(driver.Valuer); again {
			return nil, fmt.Errorf("%T gives a value that is a Valuer itself", a)
		}
		return argument(value)
	}
	return argumentByKind(reflect.ValueOf(a))
}

func argumentByKind(v reflect.Value) (driver.Value, error) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return argument(v.Elem().Interface())
	case reflect.String:
		return text(v.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > math.MaxInt64 {
			return nil, fmt.Errorf("%d is larger than a BIGINT", v.Uint())
		}
		return int64(v.Uint()), nil
	case reflect.Bool:
		return argument(v.Bool())
	case reflect.Float32, reflect.Float64:
		return v.Float(), nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return argument(v.Bytes())
		}
	}
	return nil, fmt.Errorf("%s can't be stored", v.Type())
}

// text refuses what PostgreSQL can't store, so that no engine takes what another doesn't.
func text(s string) (driver.Value, error) {
	if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		return nil, ErrText
	}
	return s, nil
}

var errNull = errors.New("it is NULL, which only a pointer to a pointer, a byte slice or a Scanner can take")

func scanRow(row []driver.Value, dest []any) error {
	if len(row) != len(dest) {
		return fmt.Errorf("scan %d columns into %d variables", len(row), len(dest))
	}
	for i, v := range row {
		if err := assign(dest[i], v); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

// assign stores a column in what dest points to. The value is one that the driver made for this row alone.
func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case *string:
		if s, ok := v.(string); ok {
			*d = s
			return nil
		}
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	case *[]byte:
		switch b := v.(type) {
		case nil:
			*d = nil
			return nil
		case []byte:
			*d = notNil(b)
			return nil
		}
	case *time.Time:
		if n, ok := v.(int64); ok {
			*d = time.UnixMicro(n).UTC()
			return nil
		}
		return mismatch(v, dest)
	case *any:
		if b, ok := v.([]byte); ok {
			v = notNil(b)
		}
		*d = v
		return nil
	case sql.Scanner:
		return d.Scan(v)
	}
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("%T is no pointer to a variable", dest)
	}
	return assignByKind(p.Elem(), v, dest)
}

func assignByKind(d reflect.Value, v driver.Value, dest any) error {
	if d.Kind() == reflect.Pointer {
		if v == nil {
			d.SetZero()
			return nil
		}
		p := reflect.New(d.Type().Elem())
		if err := assign(p.Interface(), v); err != nil {
			return err
		}
		d.Set(p)
		return nil
	}
	switch v := v.(type) {
	case nil:
		if d.Kind() == reflect.Slice && d.Type().Elem().Kind() == reflect.Uint8 {
			d.SetZero()
			return nil
		}
		return errNull
	case int64:
		return assignInt(d, v, dest)
	case string:
		if d.Kind() == reflect.String {
			d.SetString(v)
			return nil
		}
	case []byte:
		if d.Kind() == reflect.Slice && d.Type().Elem().Kind() == reflect.Uint8 {
			d.SetBytes(notNil(v))
			return nil
		}
	case float64:
		if d.CanFloat() {
			d.SetFloat(v)
			return nil
		}
	}
	return mismatch(v, dest)
}

func assignInt(d reflect.Value, n int64, dest any) error {
	switch {
	case d.Kind() == reflect.Bool && (n == 0 || n == 1):
		d.SetBool(n == 1)
	case d.CanInt() && !d.OverflowInt(n):
		d.SetInt(n)
	case d.CanUint() && n >= 0 && !d.OverflowUint(uint64(n)):
		d.SetUint(uint64(n))
	case d.CanFloat():
		d.SetFloat(float64(n))
	case d.CanInt() || d.CanUint() || d.Kind() == reflect.Bool:
		return fmt.Errorf("%d doesn't fit into %T", n, dest)
	default:
		return mismatch(n, dest)
	}
	return nil
}

func mismatch(v driver.Value, dest any) error {
	if v == nil {
		return errNull
	}
	return fmt.Errorf("a %T can't go into %T", v, dest)
}

// notNil gives an empty value back what the driver takes from it: only NULL is nil.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
